-- How many days a run looks at, once it has read the bill.
ALTER TABLE run_facts ADD COLUMN wanted int;

CREATE OR REPLACE VIEW runs AS
SELECT t.tenant_id, r.run_id, r.instance, r.trigger, r.commands, r.started_at, r.ended_at, r.status, r.from_day, r.to_day,
       r.sealed, r.unchanged, r.held, r.quarantined, r.errors, r.failures_in_a_row, r.suspended, r.next_due_at, r.wanted
FROM run_facts r
JOIN tenants t ON t.tenant_key = r.tenant_key;
SELECT isolate('runs');

-- What a run sealed is found by when it did.
CREATE INDEX ON day_revisions (tenant_key, gathered_at);
