"""GET /.well-known/jwks.json: the public keys that access tokens are signed with (RFC 7517)."""

from shared.faas import Answer, AnswerModel, Call, endpoint
from shared.identity import keys

MAX_AGE_SECONDS = 300


class PublicKey(AnswerModel):
    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str
    use: str


class KeySet(AnswerModel):
    keys: list[PublicKey]


@endpoint("GET", "/.well-known/jwks.json", auth="none", returns=KeySet)
async def jwks(call: Call) -> Answer:
    key_set = KeySet(keys=[PublicKey(**key) for key in keys.jwks()])
    return Answer.json(key_set, headers=[("cache-control", f"public, max-age={MAX_AGE_SECONDS}")])
