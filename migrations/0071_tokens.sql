-- Tokens of the API without their secrets: a projection of the topic `tokens`. Tenants' logins do not see it.

INSERT INTO projections (projection) VALUES ('tokens');

CREATE TABLE api_tokens (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    -- SHA-256 of the whole token, hex.
    hash       text NOT NULL,
    scopes     text[] NOT NULL,
    -- Ids of tenants; null: all of them.
    tenants    text[],
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz
);

CREATE INDEX api_tokens_by_hash ON api_tokens (hash);
