"""What admins send and get."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.ai.provider import ProviderName
from shared.api.models import PageQuery, RequestModel, ResponseModel
from shared.assistant.models import ApiKey, BaseUrl, Budget, BudgetAnswer, Model
from shared.identity.email_addresses import Email
from shared.identity.models import User
from shared.identity.passwords import OptionalPassword

Role = Literal["user", "admin"]
RegistrationPolicy = Literal["open", "closed"]
Bytes = Annotated[int, Field(ge=0, le=2**60)]
OwnCode = Annotated[str | None, Field(max_length=64, repr=False)]
DeliveryState = Literal["ready", "waiting", "running", "done", "dead"]


class AccountForAdmins(User):
    """An account, as admins see it; `bytes_quota` is what holds for it, whoever has set that."""

    bytes_used: int
    bytes_quota: int
    disabled: bool
    last_seen_at: datetime | None


class NewAccount(RequestModel):
    """Without a password its owner is mailed a link to choose one. Without a quota it has what everyone has.

    `current_password`, and `code` with a second factor, are the admin's own: for a session that signed in more than ten minutes ago.
    """

    email: Email
    password: OptionalPassword = None
    role: Role = "user"
    bytes_quota: Bytes | None = None
    current_password: OptionalPassword = None
    code: OwnCode = None


class AccountUpdate(RequestModel):
    """What is left out stays; `bytes_quota` null: what everyone has. The admin's own password and code are for what gives access."""

    role: Role | None = None
    bytes_quota: Bytes | None = None
    disabled: bool | None = None
    current_password: OptionalPassword = None
    code: OwnCode = None


class EndedSessions(ResponseModel):
    """How many sessions were ended."""

    sessions: int


class DeliveryQuery(PageQuery):
    state: DeliveryState | None = None


class DeliveryForAdmins(ResponseModel):
    """An event on its way to one function. `last_error` is the first line of what it last failed with."""

    id: UUID
    event_type: str
    function: str
    queue: str
    state: DeliveryState
    attempts: int
    last_error: str | None
    created_at: datetime
    available_at: datetime


class Schedule(ResponseModel):
    """What runs by the clock (five fields of cron, UTC). `last_outcome` of a run that is under way: `running`."""

    name: str
    schedule: str
    last_run_at: datetime | None
    last_duration_ms: int | None
    last_outcome: Literal["done", "failed", "running"] | None
    next_run_at: datetime


class QueueStats(ResponseModel):
    """Deliveries of one queue: to be made now, under way, given up; `oldest_seconds`: how long the one has waited that has waited longest,
    those given up left out."""

    queue: str
    ready: int
    running: int
    dead: int
    oldest_seconds: float


class Stats(ResponseModel):
    """The whole system: its accounts, their documents (those in the trash included) and what these take."""

    users: int
    documents: int
    bytes: int
    queues: list[QueueStats]


class SystemAI(ResponseModel):
    """Which provider reads the documents of those who chose none. `key_hint`: the key's last characters."""

    provider: ProviderName
    model: str
    base_url: str | None = None
    key_hint: str | None = None
    monthly_budget_usd: BudgetAnswer | None = None


class SystemSettings(ResponseModel):
    """What holds for everyone; the two limits in bytes."""

    registration: RegistrationPolicy
    default_quota: int
    max_document_size: int
    ai: SystemAI


class NewSystemAI(RequestModel):
    """The choice for everyone. The address may be a local one. Without `api_key` the key stays while provider and address do; an empty one
    removes it. `monthly_budget_usd` bounds the calls that the system's keys pay."""

    provider: ProviderName
    model: Model | None = None
    base_url: BaseUrl | None = None
    api_key: ApiKey | None = None
    monthly_budget_usd: Budget | None = None


class NewSystemSettings(RequestModel):
    """What is to hold for everyone; what is left out stays as it is.

    `password`, and `code` with a second factor: for a session that signed in more than ten minutes ago, if documents are to go elsewhere.
    """

    registration: RegistrationPolicy | None = None
    default_quota: Bytes | None = None
    max_document_size: Bytes | None = None
    ai: NewSystemAI | None = None
    password: OptionalPassword = None
    code: str | None = Field(default=None, max_length=64, repr=False)
