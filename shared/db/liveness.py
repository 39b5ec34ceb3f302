"""What every lasting connection to PostgreSQL is opened with, so that a server that vanished (its machine, the network) is noticed.

Such a server does not even close its connections: by the system's own settings a statement on one would wait for a quarter of an hour and a
listener for two hours.
"""

from typing import Any

LIVENESS: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""libpq's names; seconds, and milliseconds for the last: 25 s either way. Without meaning on a unix socket."""
