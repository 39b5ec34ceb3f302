"""GET /health/ready: whether requests should be sent to this process: it is not about to stop, and its database responds.

Without Redis, or without the object store, most of the API works: those make no process unready (`/health` tells of them). A gateway that
hands requests on has no database.
"""

from typing import Literal

from shared.config import settings
from shared.errors import Unavailable
from shared.faas import Call, ResponseModel, draining, endpoint
from shared.observability import dependency_checks


class Readiness(ResponseModel):
    status: Literal["ok"] = "ok"


@endpoint("GET", "/health/ready", auth="none", returns=Readiness, of_process=True)
async def ready(call: Call) -> Readiness:
    if draining.is_started():
        raise Unavailable("This process is about to stop.", retry_after=1)
    if settings().has("database") and not (database := await dependency_checks.check_database()).ok:
        raise Unavailable(f"The database {database.detail}.", retry_after=1)
    return Readiness()
