-- What people wrote on resources and identities: a projection of the topic `tags`.

INSERT INTO projections (projection) VALUES ('tags');

CREATE TABLE tag_facts (
    tenant_key  int  NOT NULL,
    entity_type text NOT NULL,
    entity_id   text NOT NULL,
    key         text NOT NULL,
    value       text NOT NULL,
    at          timestamptz NOT NULL,
    by          text NOT NULL,
    PRIMARY KEY (tenant_key, entity_type, entity_id, key)
);

CREATE INDEX tag_facts_of_key ON tag_facts (tenant_key, key, value);

CREATE VIEW tags AS
SELECT t.tenant_id, f.entity_type, f.entity_id, f.key, f.value, f.at, f.by
FROM tag_facts f
JOIN tenants t ON t.tenant_key = f.tenant_key;

SELECT isolate('tag_facts'), isolate('tags');
