"""GET /metrics: what this process has counted, and how full the queues are, for Prometheus; by METRICS_TOKEN if that is set."""

from shared.admin import stats
from shared.faas import Call, Response, endpoint
from shared.observability.measurements import CONTENT_TYPE, render, require_token


@endpoint("GET", "/metrics", auth="none", returns="text/plain", of_process=True)
async def metrics(call: Call) -> Response:
    require_token(call.bearer)
    return Response.content(render(await stats.metrics()).encode(), CONTENT_TYPE, headers=[("cache-control", "no-store")])
