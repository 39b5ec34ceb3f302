-- migrate:up

-- Roles are made by infra/postgres/roles.sql; this schema belongs to docuvault_migrate, the app has DML only.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS btree_gin;

ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO docuvault_app, docuvault_system;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO docuvault_app, docuvault_system;

CREATE TABLE users (
    id                     uuid PRIMARY KEY,
    email                  text NOT NULL,
    display_name           text,
    password_hash          text NOT NULL,                       -- Argon2id, with its parameters
    role                   text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    disabled               boolean NOT NULL DEFAULT false,
    second_factor          boolean NOT NULL DEFAULT false,      -- a TOTP secret is confirmed
    storage_connection_id  uuid,                                -- where new documents are kept; NULL: here
    last_seen_at           timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    deleted_at             timestamptz                          -- set at once by delete_account; the row goes when the data is gone
);
CREATE UNIQUE INDEX users_email ON users (lower(email));
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON users TO docuvault_app USING (id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON users TO docuvault_system USING (true);
-- A tenant's transaction neither sees the password's hash nor changes anything but these two columns.
REVOKE ALL ON users FROM docuvault_app;
GRANT SELECT (id, email, display_name, role, disabled, second_factor, storage_connection_id, last_seen_at, created_at, updated_at, deleted_at)
    ON users TO docuvault_app;
GRANT UPDATE (display_name, storage_connection_id, updated_at) ON users TO docuvault_app;

-- A sign-in that lasts. `token_hash` is the refresh token now good, `previous_hash` the one it replaced.
CREATE TABLE sessions (
    id             uuid PRIMARY KEY,
    user_id        uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash     bytea NOT NULL,
    previous_hash  bytea,
    generation     integer NOT NULL DEFAULT 1,
    rotated_at     timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now(),
    last_used_at   timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    end_reason     text,
    user_agent     text NOT NULL,
    ip             text NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON sessions TO docuvault_system USING (true);

-- What must be refused though its signature is good: `sid:`, `jti:` or `tid:` and the id, for as long as such a token could live.
-- No foreign keys: it outlives the session and the user.
CREATE TABLE revocations (
    key         text PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX revocations_expiry ON revocations (expires_at);
ALTER TABLE revocations ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON revocations TO docuvault_system USING (true);

CREATE TABLE api_tokens (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name          text NOT NULL,
    scopes        text[] NOT NULL,
    token_hash    bytea NOT NULL UNIQUE,
    expires_at    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    revoked_at    timestamptz
);
CREATE INDEX api_tokens_of_user ON api_tokens (user_id, id) WHERE revoked_at IS NULL;
ALTER TABLE api_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON api_tokens TO docuvault_system USING (true);

-- Failed attempts by what they are counted for (a keyed hash: account and network, account and device, account), and the growing delay.
CREATE TABLE attempts (
    bucket         bytea PRIMARY KEY,
    failures       integer NOT NULL,
    blocked_until  timestamptz NOT NULL,
    known_until    timestamptz,                                 -- this account has signed in from this network
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX attempts_age ON attempts (updated_at);
ALTER TABLE attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON attempts TO docuvault_system USING (true);

-- TOTP: the secret sealed; `last_step` is the newest time step whose code was accepted, so none is good twice.
CREATE TABLE totp_secrets (
    user_id       uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed        bytea NOT NULL,
    last_step     bigint NOT NULL DEFAULT 0,
    confirmed_at  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE totp_secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON totp_secrets TO docuvault_system USING (true);

CREATE TABLE backup_codes (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lookup     text NOT NULL,                                   -- the code's first four characters, so that one hash is checked, not ten
    code_hash  text NOT NULL,                                   -- Argon2id of the rest
    used_at    timestamptz
);
CREATE INDEX backup_codes_of_user ON backup_codes (user_id) WHERE used_at IS NULL;
ALTER TABLE backup_codes ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON backup_codes TO docuvault_system USING (true);

-- Good once, for one purpose, for a while: second-factor challenges and password resets. The token itself is stored as its hash.
CREATE TABLE one_time_tokens (
    token_hash  bytea PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose     text NOT NULL CHECK (purpose IN ('second_factor', 'password_reset')),
    failures    integer NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX one_time_tokens_of_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);
ALTER TABLE one_time_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON one_time_tokens TO docuvault_system USING (true);

-- A mail to be sent: its content sealed, and erased once it is sent.
CREATE TABLE mails (
    id          uuid PRIMARY KEY,
    template    text NOT NULL,
    sealed      bytea,
    created_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz
);
CREATE INDEX mails_sent ON mails (sent_at) WHERE sent_at IS NOT NULL;
ALTER TABLE mails ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON mails TO docuvault_system USING (true);

-- How many mails of a kind an address was sent in this hour; the bucket is a keyed hash of both.
CREATE TABLE mail_counts (
    bucket  bytea PRIMARY KEY,
    sent    integer NOT NULL,
    since   timestamptz NOT NULL
);
CREATE INDEX mail_counts_age ON mail_counts (since);
ALTER TABLE mail_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON mail_counts TO docuvault_system USING (true);

-- What an admin decides at run time (registration, quotas, AI), and what was done once (the bootstrap admin).
CREATE TABLE system_settings (
    name        text PRIMARY KEY,
    value       jsonb NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE system_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON system_settings TO docuvault_system USING (true);

-- The app's own role has no business with any of these; only its system role has.
REVOKE ALL ON sessions, revocations, api_tokens, attempts, totp_secrets, backup_codes, one_time_tokens, mails, mail_counts, system_settings
    FROM docuvault_app;

-- migrate:down

DROP TABLE system_settings, mail_counts, mails, one_time_tokens, backup_codes, totp_secrets, attempts, api_tokens, revocations, sessions, users CASCADE;
