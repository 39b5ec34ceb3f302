"""Where documents go to be read: who may send them elsewhere, and who is told.

A stolen access token is good for a quarter of an hour; pointed at an address or an account of the thief's, the provider would get every
later document. So a session changes where they go only after a recent sign-in, or with the password (`shared.identity.confirmation`). An
API token with `ai:write` may: it was given that by password. Each change is told by mail. How much is spent, which model reads and what is
done with its suggestions is no such change, nor is `local`, where nothing leaves this process.
"""

from dataclasses import dataclass
from uuid import UUID

from shared.ai.provider import ProviderName
from shared.db import Database
from shared.identity import accounts, confirmation
from shared.identity.client import Client
from shared.identity.sign_in import send_alert


@dataclass(frozen=True)
class Destination:
    """A provider, its address (None: its own), and whether requests carry a key of whoever chose it."""

    provider: ProviderName
    base_url: str | None
    own_key: bool = False

    def is_left_by(self, provider: ProviderName, base_url: str | None, api_key: str | None) -> bool:
        """Whether documents would go elsewhere, or to another account there. `api_key` as in a request: None leaves it as it is."""
        if provider == "local":
            return False
        return (provider, base_url) != (self.provider, self.base_url) or bool(api_key) or (api_key == "" and self.own_key)


@dataclass(frozen=True)
class Author:
    """Who asks for a change, and what of the proof came along. `session_id` is None for an API token."""

    client: Client
    user_id: UUID
    session_id: UUID | None
    password: str | None = None
    code: str | None = None


async def confirm(db: Database, author: Author) -> None:
    """Returns if the author may send documents elsewhere. Raises what `confirmation.require` raises."""
    if author.session_id is not None:
        await confirmation.require(db, author.client, author.user_id, author.session_id, password=author.password, code=author.code)


async def tell(db: Database, author: Author, *, everybody: bool = False) -> None:
    """Asks for the mail that says so; `everybody`: for all who chose nothing themselves."""
    async with db.system() as tx:
        user = await accounts.get(tx, author.user_id)
        if user is not None:
            await send_alert(tx, author.client, user, "system_ai_provider_changed" if everybody else "ai_provider_changed")
