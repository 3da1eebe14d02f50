-- What emitters did with each period of a tenant: a projection of the topic `emissions`, for people. The emit role
-- itself remembers from the topic.

INSERT INTO projections (projection) VALUES ('emissions');

CREATE TABLE emission_facts (
    tenant_key  int  NOT NULL,
    dataset     text NOT NULL,
    emitter     text NOT NULL,
    aggregation text NOT NULL,
    -- The day, or the first of the month.
    day         date NOT NULL,
    -- Of a month the sum of its days'. Not called `revision`: a forgotten tenant's rows go whatever it is.
    emitted_revision int NOT NULL,
    outcome     text NOT NULL,
    attempts    int  NOT NULL,
    error       text,
    rows        int  NOT NULL,
    target      text,
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_key, day, dataset, emitter, aggregation)
);

CREATE VIEW emissions AS
SELECT t.tenant_id, e.dataset, e.emitter, e.aggregation, e.day, e.emitted_revision AS revision, e.outcome, e.attempts, e.error, e.rows,
       e.target, e.at
FROM emission_facts e
JOIN tenants t ON t.tenant_key = e.tenant_key;

SELECT isolate('emission_facts'), isolate('emissions');
