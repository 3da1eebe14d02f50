-- The rules that days were sealed with, each text once, so that a row can be explained by the rules of its time.

CREATE TABLE rule_books (
    tenant_key int   NOT NULL,
    -- 32 bytes of a digest of the text.
    digest     bytea NOT NULL,
    rules      text  NOT NULL,
    PRIMARY KEY (tenant_key, digest)
);

-- Of the newest seal.
ALTER TABLE day_facts ADD COLUMN rules_digest bytea;

SELECT isolate('rule_books');
