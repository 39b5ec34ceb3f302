"""GET /.well-known/jwks.json: the public keys that access tokens are signed with (RFC 7517)."""

from shared import keys
from shared.faas import Call, Response, ResponseModel, endpoint

MAX_AGE_SECONDS = 300


class PublicKey(ResponseModel):
    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str
    use: str


class KeySet(ResponseModel):
    keys: list[PublicKey]


@endpoint("GET", "/.well-known/jwks.json", auth="none", returns=KeySet)
async def jwks(call: Call) -> Response:
    key_set = KeySet(keys=[PublicKey(**key) for key in keys.jwks()])
    return Response.json(key_set, headers=[("cache-control", f"public, max-age={MAX_AGE_SECONDS}")])
