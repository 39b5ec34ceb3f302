"""The settings and calls of an AI provider, as clients send and see them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from shared.ai.prompts import CallKind
from shared.ai.provider import DETAILS, CallOutcome, DetailName, ProviderName
from shared.ai.registry import Mode
from shared.api.models import RequestModel, ResponseModel, SingleLine
from shared.identity.passwords import OptionalPassword


def _none_if_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Model = Annotated[SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


ApiKey = Annotated[SingleLine, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[\x20-\x7e]*$")]


BaseUrl = Annotated[SingleLine, StringConstraints(strip_whitespace=True, max_length=500), BeforeValidator(_none_if_empty)]


Budget = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2)]


BudgetAnswer = Annotated[float, Field(ge=0)]


class AISettings(ResponseModel):
    """What holds for the caller: the caller's own choice, or the system's. `propose` names what is read from documents beside topics."""

    provider: ProviderName
    model: str
    base_url: str | None = None
    key_hint: str | None = None
    mode: Mode
    propose: tuple[DetailName, ...] = ()
    monthly_budget_usd: BudgetAnswer | None = None


class NewAISettings(RequestModel):
    """The caller's choice. Without `api_key` the key stays while provider and address do; an empty one removes it.

    `password`, and `code` with a second factor: for a session that signed in more than ten minutes ago, if documents are to go elsewhere.
    """

    provider: ProviderName
    model: Model | None = None
    base_url: BaseUrl | None = None
    api_key: ApiKey | None = None
    mode: Mode = "apply"
    propose: tuple[DetailName, ...] = Field(default=(), max_length=len(DETAILS))
    monthly_budget_usd: Budget | None = None
    password: OptionalPassword = None
    code: str | None = Field(default=None, max_length=64, repr=False)


class AICall(ResponseModel):
    """A call; `characters` of documents were in it, `sha256` is of its messages as JSON without spaces. `running` is one under way."""

    id: UUID
    at: datetime
    document_id: UUID | None = None
    kind: CallKind
    provider: str
    model: str
    characters: int
    sha256: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    outcome: CallOutcome | Literal["running"]


class MonthlyUsage(ResponseModel):
    """What one model cost in one month (UTC), `month` as YYYY-MM."""

    month: str
    provider: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
