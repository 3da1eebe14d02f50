-- Who changed what: a projection of the topic `audit`, in the order of the topic.

INSERT INTO projections (projection) VALUES ('audit');

CREATE TABLE audit_facts (
    -- The offset in the topic's only partition: the order of events, the same after every rebuild.
    seq         bigint PRIMARY KEY,
    id          text NOT NULL,
    -- Null: of the installation. Tenants' logins do not see such events.
    tenant_key  int,
    at          timestamptz NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    entity_type text NOT NULL,
    entity_id   text NOT NULL,
    before      text,
    after       text,
    request_id  text NOT NULL
);

CREATE INDEX audit_facts_of_tenant ON audit_facts (tenant_key, seq);
CREATE INDEX audit_facts_of_entity ON audit_facts (tenant_key, entity_type, entity_id, seq);

CREATE VIEW audit AS
SELECT t.tenant_id, a.seq, a.id, a.at, a.actor, a.action, a.entity_type, a.entity_id, a.before, a.after, a.request_id
FROM audit_facts a
LEFT JOIN tenants t ON t.tenant_key = a.tenant_key;

SELECT isolate('audit_facts'), isolate('audit');
