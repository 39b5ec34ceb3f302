"""What admins send and get."""

from pydantic import Field

from shared.ai.provider import ProviderName
from shared.api.models import RequestModel, ResponseModel
from shared.assistant.models import ApiKey, BaseUrl, Budget, BudgetAnswer, Model
from shared.identity.passwords import OptionalPassword


class SystemAI(ResponseModel):
    """Which provider reads the documents of those who chose none. `key_hint`: the key's last characters."""

    provider: ProviderName
    model: str
    base_url: str | None = None
    key_hint: str | None = None
    monthly_budget_usd: BudgetAnswer | None = None


class SystemSettings(ResponseModel):
    """What holds for everyone."""

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
    """What is to hold for everyone.

    `password`, and `code` with a second factor: for a session that signed in more than ten minutes ago, if documents are to go elsewhere.
    """

    ai: NewSystemAI
    password: OptionalPassword = None
    code: str | None = Field(default=None, max_length=64, repr=False)
