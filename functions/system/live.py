"""GET /health/live: whether this process serves requests at all; whoever runs it starts another one if not."""

from typing import Literal

from shared.faas import Call, ResponseModel, endpoint


class Liveness(ResponseModel):
    status: Literal["ok"] = "ok"


@endpoint("GET", "/health/live", auth="none", returns=Liveness, of_process=True)
async def live(call: Call) -> Liveness:
    return Liveness()
