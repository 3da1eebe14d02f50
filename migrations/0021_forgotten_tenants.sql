-- A tenant that was forgotten keeps its key and its name, so that what is read again of it (a rebuild) is known to be
-- of before: revisions up to this one are passed over, and entries of the quarantine up to this moment.
ALTER TABLE tenants
    ADD COLUMN forgotten_revision int NOT NULL DEFAULT 0,
    ADD COLUMN forgotten_at       timestamptz;

INSERT INTO projections (projection) VALUES ('tenants');
