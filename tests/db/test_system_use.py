"""Who may work without a tenant: the one list of it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ALLOWED = {
    # Sign-in by address, look-up of tokens, sessions and second factors: before it is known who calls.
    "shared/identity/",
    # The chain of all owners' lines.
    "shared/audit/",
    # Mails outlive the request and, for deletions, the account.
    "shared/mail/",
    # What users must not be able to change themselves, and what admins see of everyone.
    "shared/admin/",
    # Budgets and circuits of the system, and calls of owners whose process is gone.
    "shared/assistant/",
    # Claims are fair across owners; bucket events name an owner only once they are read.
    "infra/broker/",
    # Removes what was delivered long ago, of everyone.
    "shared/events/pruning.py",
    # Forgets kept answers, of everyone.
    "shared/faas/idempotency.py",
    # Marks a connection as broken and mails its owner, whose address no tenant's transaction sees.
    "shared/cloud/connections.py",
    # The browser that comes back from a provider names nobody but its state.
    "shared/cloud/sign_ins.py",
    # Finds what is due in everyone's clouds; each piece of work is done as its owner.
    "shared/cloud/upkeep.py",
    # Whether deliveries of an import or an export are dead, which no tenant sees; and the watched folders that are due, of everyone.
    "shared/cloud/exports.py",
    "shared/cloud/imports.py",
    "shared/cloud/watching.py",
    # Looks for stranded documents of everyone.
    "shared/documents/reconciliation.py",
    # Finds what an older version indexed, of everyone; each document is written as its owner.
    "shared/documents/reindexing.py",
    # Wakes jobs that stood still, and forgets old ones, of everyone.
    "shared/documents/jobs.py",
    # Looks for what has been in the trash for long, of everyone; each owner's is removed as that owner.
    "shared/documents/purging.py",
    # Somebody opens a share who names nobody but its token.
    "shared/documents/share_opening.py",
    # The numbering of changes, watched for all owners at once by one listener.
    "shared/documents/changes.py",
}


def _calls_system(source: str) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "system"
        for node in ast.walk(ast.parse(source))
    )


def _modules() -> list[Path]:
    return [path for folder in ("shared", "functions", "infra") for path in (ROOT / folder).rglob("*.py")]


def test_system_transactions_are_opened_only_where_they_may_be() -> None:
    users = [str(path.relative_to(ROOT)) for path in _modules() if _calls_system(path.read_text())]
    assert users, "the search finds nothing at all"
    assert [user for user in users if not user.startswith(tuple(ALLOWED))] == []


def test_only_one_place_takes_the_system_role_or_sets_the_tenant() -> None:
    wanted = ("docuvault_system", 'app."user"', "app.user")
    places = [str(path.relative_to(ROOT)) for path in _modules() if any(word in path.read_text() for word in wanted)]
    assert places == ["shared/db/database.py"]


def test_only_the_database_package_the_listeners_and_the_migrations_connect_by_themselves() -> None:
    connects = [str(path.relative_to(ROOT)) for path in _modules() if "AsyncConnection.connect(" in path.read_text()]
    assert set(connects) <= {"shared/db/wake.py", "shared/db/listen.py", "infra/postgres/migrate.py"}
