-- What requests with an Idempotency-Key were answered, for a day: the same request again gets the same answer and does
-- nothing. No projection, and no memory of what people did (that is the topic `audit`): nothing is lost with it but that.
-- Tenants' logins do not see it.

CREATE TABLE request_answers (
    -- Who asked, as in the audit.
    caller     text NOT NULL,
    key        text NOT NULL,
    -- Of method, address and body: another request with the same key is refused.
    digest     text NOT NULL,
    request_id text NOT NULL,
    at         timestamptz NOT NULL,
    -- Null: it is under way, or its process ended in the middle of it.
    status     int,
    -- Names and values in turn.
    headers    text[],
    -- Null with a status: the answer held a secret and was not kept.
    body       bytea,
    PRIMARY KEY (caller, key)
);

CREATE INDEX request_answers_by_age ON request_answers (at);
