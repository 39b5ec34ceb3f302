-- migrate:up

-- Whoever checks the chain tells a line that waits to be sealed from one that was slipped in beside it.
CREATE POLICY system ON audit_queue TO docuvault_system USING (true);
GRANT SELECT ON audit_queue TO docuvault_system;

-- migrate:down

REVOKE SELECT ON audit_queue FROM docuvault_system;
DROP POLICY system ON audit_queue;
