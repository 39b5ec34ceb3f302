"""GET /health: whether the database, the object store and Redis respond."""

from typing import Literal

from shared.faas import Call, ResponseModel, endpoint
from shared.observability import dependency_checks as checks


class Check(ResponseModel):
    ok: bool
    latency_ms: float
    detail: str | None = None


class Checks(ResponseModel):
    database: Check
    object_store: Check
    redis: Check


class Health(ResponseModel):
    status: Literal["ok", "degraded"]
    checks: Checks


@endpoint("GET", "/health", auth="none", returns=Health)
async def health(call: Call) -> Health:
    results = await checks.check_all()
    return Health.model_validate(
        {
            "status": "ok" if all(check.ok for check in results.values()) else "degraded",
            "checks": {name: {"ok": c.ok, "latency_ms": c.latency_ms, "detail": c.detail} for name, c in results.items()},
        }
    )
