"""Requests/s of an authenticated, trivial function behind the gateway, against the same handler in FastAPI on uvicorn.

The baseline does in FastAPI's ordinary way what the gateway does for every call: verifies the ES256 token (PyJWT), asks Redis whether
token or session are revoked, counts the account and the address (limits, on Redis), answers a pydantic model, logs a line. A second
baseline only verifies the token. One process each, one core for the server's Python; in turns, the median of three rounds.
"""

import os
import socket
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from infra.local.ports import free_port_block
from shared.faas import Call, ResponseModel, endpoint
from shared.faas.declarations import ENDPOINTS
from tests import services
from tests.benchmarks.load import Load, NoLoadGenerator, load

if TYPE_CHECKING:
    from fastapi import FastAPI

    from infra.gateway.app import Gateway

ROUNDS = 3
SECONDS = 4
SERVERS = ("docuvault", "fastapi", "fastapi_jwt_only")


class Caller(ResponseModel):
    id: str
    role: str


def docuvault() -> "Gateway":
    """The gateway, with one function."""
    from infra.gateway.app import Gateway
    from shared.faas.routing import Router

    @endpoint("GET", "/api/caller", auth="user", returns=Caller)
    async def get_caller(call: Call) -> Caller:
        return Caller(id=str(call.user.user_id), role=call.user.role)

    return Gateway(Router([ENDPOINTS.pop("get_caller")]))


def fastapi(*, jwt_only: bool = False) -> "FastAPI":
    """The baselines."""
    import jwt
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
    from limits import parse
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import FixedWindowRateLimiter
    from redis.asyncio import Redis

    from shared.config import settings
    from shared.identity.revocation import access_token_key, session_key
    from shared.identity.revocation_copy import PREFIX
    from shared.keys import signing_keys

    redis = Redis.from_url(settings().redis_url)
    limiter = FixedWindowRateLimiter(RedisStorage(f"async+{settings().redis_url}", implementation="redispy"))
    per_account, per_address = parse("10000000/minute"), parse("10000000/minute")
    key = signing_keys()[0].public
    bearer = HTTPBearer()
    app = FastAPI()

    async def claims(credentials: HTTPAuthorizationCredentials = Depends(bearer)) -> dict[str, Any]:  # noqa: B008
        try:
            return jwt.decode(credentials.credentials, key, algorithms=["ES256"], issuer=settings().backend_url)
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None

    async def user(request: Request, found: dict[str, Any] = Depends(claims)) -> dict[str, Any]:  # noqa: B008
        assert request.client is not None
        if not await limiter.hit(per_address, "address", request.client.host):
            raise HTTPException(429)
        if any(await redis.mget(PREFIX + access_token_key(found["jti"]), PREFIX + session_key(found["sid"]))):
            raise HTTPException(401)
        if not await limiter.hit(per_account, "account", found["sub"]):
            raise HTTPException(429)
        return found

    @app.get("/api/caller")
    async def get_caller(found: dict[str, Any] = Depends(claims if jwt_only else user)) -> Caller:  # noqa: B008
        return Caller(id=found["sub"], role=found["role"])

    return app


def fastapi_jwt_only() -> "FastAPI":
    return fastapi(jwt_only=True)


def serve(name: str, port: str) -> None:
    """One of SERVERS in this process, until it is killed."""
    if name == "docuvault":
        from infra.serving import run as run_gateway

        os.environ["BENCHMARK_PORT"] = port
        run_gateway("tests.benchmarks.gateway:docuvault", host_variable="BENCHMARK_HOST", port_variable="BENCHMARK_PORT", port=int(port))
    else:
        import uvicorn

        uvicorn.run({"fastapi": fastapi, "fastapi_jwt_only": fastapi_jwt_only}[name](), port=int(port), loop="uvloop", http="httptools")


def run() -> None:
    """Prints requests/s and ratios."""
    holder = services.prepare()
    os.environ.update({"RATE_LIMIT_ACCOUNT": "10000000/minute", "RATE_LIMIT_ADDRESS": "10000000/minute", "LOG_LEVEL": "info"})
    running: list[subprocess.Popen[bytes]] = []
    try:
        services.wait_until_started()
        headers = _signed_in()
        ports = {}
        for name in SERVERS:
            ports[name] = free_port_block(1)
            command = [sys.executable, "-m", "tests.benchmarks.gateway", name, str(ports[name])]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        measured: dict[str, list[Load]] = {name: [] for name in SERVERS}
        for name in SERVERS:
            _wait_for(ports[name])
            load(f"http://127.0.0.1:{ports[name]}/api/caller", headers, seconds=1)
        for _ in range(ROUNDS):
            for name in SERVERS:
                measured[name].append(load(f"http://127.0.0.1:{ports[name]}/api/caller", headers, seconds=SECONDS))
    except NoLoadGenerator as missing:
        print(f"skipped: {missing}")
        return
    finally:
        for server in running:
            server.kill()
            server.wait()
        services.finish(holder)
    ours = median(found.requests_per_second for found in measured["docuvault"])
    for name, found in measured.items():
        rate = median(one.requests_per_second for one in found)
        p50, p99 = median(one.p50 for one in found), median(one.p99 for one in found)
        print(f"{name:18} {rate:8.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   docuvault is {ours / rate:4.2f} times that")


def _signed_in() -> dict[str, str]:
    from shared.identity import tokens
    from shared.identity.client import Client
    from shared.ids import new_id

    token, _ = tokens.issue(new_id(), "user", new_id(), Client("127.0.0.1", "wrk", "en"))
    return {"Authorization": f"Bearer {token}", "User-Agent": "wrk", "Accept-Language": "en"}


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
