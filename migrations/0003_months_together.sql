-- Two processes may make the same month's partition at the same time. A name that was looked up in vain is remembered
-- by the session and the advisory lock does not make it look again, so the loser of the race made the table a second
-- time and failed. A lock on the table does; it does not hold up reading or writing rows.

CREATE OR REPLACE FUNCTION ensure_month(parent text, day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    month text := parent || to_char(first, '_YYYY_MM');
BEGIN
    IF to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
    IF to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', month, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, month, first, (first + interval '1 month')::date);
END $$;
