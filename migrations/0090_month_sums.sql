-- What makes questions over many rows quick.

-- Pages are in the order of days and dimensions. The index is that order, so a page costs the same wherever it begins and
-- however many rows a day has.
CREATE INDEX ON chargeback_facts (tenant_key, day, dimension_key);
DROP INDEX chargeback_facts_tenant_key_day_idx;

-- A tenant's dimensions are found without reading those of all others.
CREATE INDEX ON chargeback_dimensions (tenant_key);

-- Rows of whole months, added up by dimension. They are made apart from the projection's batches, and count only while the
-- slices that are in them are what readers see: sums that are behind are passed over, never wrong.
CREATE TABLE chargeback_months (
    tenant_key int  NOT NULL,
    -- Its first day.
    month      date NOT NULL,
    -- The slices that are in the sums, by day.
    days       date[] NOT NULL,
    revisions  int[]  NOT NULL,
    PRIMARY KEY (tenant_key, month)
);

CREATE TABLE chargeback_sums (
    tenant_key    int     NOT NULL,
    month         date    NOT NULL,
    dimension_key bigint  NOT NULL,
    -- As wide as a sum gets.
    amount        numeric NOT NULL,
    rows          bigint  NOT NULL
);
CREATE INDEX ON chargeback_sums (tenant_key, month);

SELECT isolate('chargeback_months'), isolate('chargeback_sums');
