-- Lines of revisions that were replaced are kept whole, so that they can be read again as they were. Those that were kept by their
-- amounts alone go, and so do the seals of their revisions: what is not known must not look as if there had been nothing. Both come
-- back with a rebuild of `billing` and `days`, as far back as the log reaches.
TRUNCATE replaced_lines;
DELETE FROM day_revisions r USING slices s
WHERE s.projection = 'billing' AND s.complete AND s.tenant_key = r.tenant_key AND s.day = r.day AND s.revision > r.revision;

ALTER TABLE replaced_lines
    ADD COLUMN ecosystem        text NOT NULL,
    ADD COLUMN env_id           text NOT NULL,
    ADD COLUMN resource_id      text NOT NULL,
    ADD COLUMN resource_name    text,
    ADD COLUMN product_category text NOT NULL,
    ADD COLUMN product_type     text NOT NULL,
    ADD COLUMN granularity      text NOT NULL,
    ADD COLUMN period_start     timestamptz NOT NULL,
    ADD COLUMN period_end       timestamptz NOT NULL,
    -- The provider's rows behind the line, as received.
    ADD COLUMN evidence         text[] NOT NULL;
