-- What a day was before: its revisions, and the lines of those that were replaced. Both tables are filled in any order of
-- records and hold the same after a rebuild, as far back as the log reaches.

-- One row for each seal.
CREATE TABLE day_revisions (
    tenant_key    int  NOT NULL,
    day           date NOT NULL,
    revision      int  NOT NULL,
    billing_lines int  NOT NULL,
    reason        text NOT NULL,
    digest        text NOT NULL,
    gathered_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_key, day, revision)
);

-- What can change of a line; the rest is its name. A revision of which not all lines are here never was whole.
CREATE TABLE replaced_lines (
    tenant_key      int  NOT NULL,
    day             date NOT NULL,
    revision        int  NOT NULL,
    -- The digest in the line's id.
    line            bytea NOT NULL,
    quantity        numeric(28, 14) NOT NULL,
    unit_price      numeric(28, 14) NOT NULL,
    amount          numeric(28, 14) NOT NULL,
    original_amount numeric(28, 14),
    currency        text NOT NULL,
    PRIMARY KEY (tenant_key, day, revision, line)
);

SELECT isolate('day_revisions'), isolate('replaced_lines');
