"""Which variables of a person's shell are not ours to look at."""

import re
from collections.abc import MutableMapping

OURS = {"REDIS_URL", "REDIS_URL_FILE", "REDIS_PASSWORD", "VALKEY_PORT"}
OTHERS = re.compile(
    # libpq and its programs, the AWS SDKs, SeaweedFS, Redis and Valkey clients, dbmate, proxies, Python, Go's runtime
    r"PG\w+|PSQL\w*|AWS_\w+|BOTO_CONFIG|S3_\w+|WEED_\w+|REDIS\w+|VALKEY\w+|DBMATE_\w+|\w+_PROXY|PYTHON\w*"
    r"|GO(MEMLIMIT|GC|DEBUG|MAXPROCS|TRACEBACK|RACE)|GRPC_\w+|GRANIAN_\w+",
    re.IGNORECASE,
)
"""Settings of the libraries and programs that ours stand on: exported for something else, they would bend what ours do (PGPORT, say)."""

LIBPQ = [
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLKEYLOGFILE",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLSNI",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
    "PGUSER",
]
"""What libpq looks for (its documentation, "Environment Variables"), for a shell, which has no pattern for `unset`."""


def forget_other_programs(environ: MutableMapping[str, str]) -> None:
    """Removes what is meant for other programs. What DocuVault shall know of a service stands in its URL, or in settings.env."""
    for name in [name for name in environ if OTHERS.fullmatch(name) and name not in OURS]:
        del environ[name]
