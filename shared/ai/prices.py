"""What tokens cost, in US dollars: the price table of `genai-prices`, which comes with the package and is never fetched.

A model that nobody has a price for counts as dear (`ASSUMED`): a budget must hold for it, too. What runs in this house costs nothing.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from shared.ai.provider import ProviderName

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens; `known` is False if it was assumed."""

    input_usd: Decimal
    output_usd: Decimal
    known: bool = True

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """US dollars, to a billionth."""
        exact = (self.input_usd * input_tokens + self.output_usd * output_tokens) / _MILLION
        return exact.quantize(Decimal("0.000000001"))


FREE = Price(Decimal(0), Decimal(0))
ASSUMED = Price(Decimal(15), Decimal(75), known=False)
"""As dear as the dearest models in general use."""

PUBLIC_ADDRESSES: dict[ProviderName, str] = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}


@lru_cache(maxsize=512)
def price_of(provider: ProviderName, model: str, base_url: str | None, *, at_home: bool) -> Price:
    """The price of a provider's model; `base_url` is None at the provider's own address, `at_home` says that it leads into this house."""
    if at_home or provider in ("local", "ollama", "lmstudio"):
        return FREE
    from genai_prices import Usage, calc_price

    million = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    for where in ({"provider_api_url": base_url or PUBLIC_ADDRESSES[provider]}, {"provider_id": provider}):
        try:
            found = calc_price(million, model, **where)
        except (LookupError, ValueError):
            continue
        if found.input_price or found.output_price:
            return Price(Decimal(found.input_price or 0), Decimal(found.output_price or 0))
    return ASSUMED
