-- migrate:up

-- Somebody was sent to a provider to sign in: good once, for ten minutes, for this user in this browser. State and browser as hashes.
CREATE TABLE cloud_sign_ins (
    state_hash    bytea PRIMARY KEY,
    owner_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider      text NOT NULL CHECK (provider IN ('google_drive', 'onedrive')),
    browser_hash  bytea NOT NULL,
    sealed        bytea NOT NULL,                               -- what the exchange of the code needs: PKCE's verifier above all
    expires_at    timestamptz NOT NULL,
    used_at       timestamptz
);
CREATE INDEX cloud_sign_ins_expiry ON cloud_sign_ins (expires_at);
CREATE INDEX cloud_sign_ins_owner ON cloud_sign_ins (owner_id);
ALTER TABLE cloud_sign_ins ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON cloud_sign_ins TO docuvault_system USING (true);
REVOKE ALL ON cloud_sign_ins FROM docuvault_app;

-- migrate:down

DROP TABLE cloud_sign_ins;
