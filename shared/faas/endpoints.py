"""`@endpoint`: declares an HTTP function and lets functions-framework serve it alone."""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import UUID

import functions_framework.aio
from pydantic import BaseModel

from shared.faas.declarations import AtOnce, Auth, EndpointDeclaration, Scope, declare
from shared.faas.http import serve
from shared.faas.routing import Router
from shared.redis_client import postpone

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Send
    from starlette.types import Scope as AsgiScope

Handler = Callable[[Any], Awaitable[Any]]

JSON_BODY_LIMIT = 64 * 1024
"""Bytes a JSON body may have if the endpoint says nothing else."""


def endpoint(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    *,
    auth: Auth,
    scope: Scope | None = None,
    body: type[BaseModel] | Literal["stream"] | None = None,
    query: type[BaseModel] | None = None,
    headers: Mapping[str, str] | None = None,
    returns: type[BaseModel] | str | None = None,
    status: int = 200,
    or_returns: Mapping[int, type[BaseModel]] | None = None,
    errors: Sequence[str] = (),
    rate_limits: Sequence[str] = (),
    at_once: AtOnce | None = None,
    idempotent: bool = False,
    max_body: int = JSON_BODY_LIMIT,
    secret_answer: bool = False,
    subject: Callable[[Any], UUID] | None = None,
    of_process: bool = False,
    also: Sequence[str] = (),
) -> Callable[[Handler], Handler]:
    """Declares the function below as `method path`.

    - `auth`: `none`; `user` (access token, or an API token with `scope`; without a scope API tokens are refused); `admin`; `cookie`
      (the refresh cookie may authorise it, so the Origin rule holds; the function checks the cookie).
    - `body`, `query`: pydantic models; `body="stream"` leaves the bytes to the function (`call.stream`).
    - `headers`: the request headers of its own that it heeds, and what they do.
    - `returns`: the model of the response with `status`; content types (`a, b`) if it makes a `Response` of its own; None for 204.
    - `or_returns`: other models, each by the status of the `Response` that brings it.
    - `errors`: the problem codes of its own, beside those every endpoint may return.
    - `rate_limits`: names of the settings `RATE_LIMIT_<NAME>` that count requests which fit per client
      address, on top of the general ones.
    - `at_once`: how many of its requests an account and an address may have under way in one process; a further one is 429.
    - `idempotent`: honours `Idempotency-Key`; `secret_answer`: its response is never kept (nor compressed); `subject`: the id of the
      document or topic that a response is about, without which it is not replayed.
    - `max_body`: bytes.
    - `of_process`: tells of the very process that responds, for orchestrators: the gateway never hands it on, and no limit counts it.
    - `also`: further paths at which it is served.
    """

    def decorate(handler: Handler) -> Handler:
        declaration = EndpointDeclaration(
            name=handler.__name__,
            method=method,
            path=path,
            summary=_summary(handler),
            auth=auth,
            scope=scope,
            body=body,
            query=query,
            headers=headers or {},
            returns=returns,
            status=204 if returns is None and status == 200 else status,
            or_returns=or_returns or {},
            errors=tuple(errors),
            rate_limits=tuple(rate_limits),
            at_once=at_once,
            idempotent=idempotent,
            max_body=max_body,
            secret_answer=secret_answer,
            subject=subject,
            of_process=of_process,
            handler=handler,
            also=tuple(also),
        )
        declare(declaration)
        router = Router([declaration])

        @functools.wraps(handler)
        async def alone(request: "Request") -> "_Served":
            return _Served(router, request.scope)

        return cast(Handler, functions_framework.aio.http(cast(Any, alone)))

    return decorate


class _Served:
    """What functions-framework gets back: an ASGI answer made by the same code that serves the gateway."""

    def __init__(self, router: Router, scope: "AsgiScope") -> None:
        self._router = router
        self._scope = scope

    async def __call__(self, scope: "AsgiScope", receive: "Receive", send: "Send") -> None:
        postpone()
        await serve(self._router, self._scope, receive, send)


def _summary(handler: Handler) -> str:
    documentation = handler.__doc__ or handler.__globals__.get("__doc__") or handler.__name__
    return str(documentation).strip()
