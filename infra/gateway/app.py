"""The gateway's ASGI application.

Without FUNCTION_URL_TEMPLATE every function runs in this process; with it, requests are handed on to the functions' services, or only those
of REMOTE_FUNCTIONS.
"""

from infra.functions import check_remote, http_functions
from infra.gateway.remote import RemoteFunctions
from shared.config import settings
from shared.faas import draining
from shared.faas.asgi import AsgiScope, Receive, Send
from shared.faas.http import Remote, serve
from shared.faas.routing import Router


class Gateway:
    """ASGI application over a set of declarations."""

    def __init__(self, router: Router, remote: Remote | None = None) -> None:
        self._router = router
        self._remote = remote

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve(self._router, scope, receive, send, remote=self._remote)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def drain(self) -> None:
        """Ends the streams that would not end by themselves; their clients reconnect elsewhere."""
        draining.start()


def create() -> Gateway:
    """The gateway for this process's settings. Raises SettingsError."""
    template, names = settings().function_url_template, settings().remote_functions
    check_remote(names)
    return Gateway(Router(http_functions()), RemoteFunctions(template, names) if template else None)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            draining.start()
            from shared.db import database

            await database().close()
            await send({"type": "lifespan.shutdown.complete"})
            return
