"""What all providers behind an HTTP API share: one call, within its time, through the gate, its failures in a few named outcomes.

`RemoteProvider._complete` is the one place where text leaves this house. Nothing is sent that its gate has not admitted: the gate knows the
document's policy, reserves the budget and keeps the record of calls (shared/assistant). A call is tried once; the SDKs' own retries are
off, because a retry is a call that costs, and those are counted.
"""

import asyncio
import email.utils
import importlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar, TypeVar

from shared.ai import prices, prompts
from shared.ai.detail_checks import checked_details
from shared.ai.orders import speaks_to_models
from shared.ai.prices import Price
from shared.ai.prompts import Prompt
from shared.ai.provider import (
    Classification,
    DetailName,
    DocumentText,
    ProviderAddressRefused,
    ProviderAnswerInvalid,
    ProviderAnswerTruncated,
    ProviderDeclined,
    ProviderError,
    ProviderHealth,
    ProviderKeyRefused,
    ProviderModelUnknown,
    ProviderName,
    ProviderOutOfCredit,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderRequestRefused,
    ProviderTextTooLong,
    ProviderTimedOut,
    ProviderUnavailable,
    TopicExample,
    TopicIdeas,
    TopicOption,
    Usage,
)
from shared.ai.verification import UNPROVEN_CONFIDENCE, checked_ideas, checked_matches, one_line
from shared.clock import now
from shared.outbound import HostNotAllowed, UrlGuard, UrlNotAllowed
from shared.outbound.clients import ResponseTooLarge

TOKENS_BELIEVED = 10_000_000
"""More than any model reads in one call: a larger number in a response is none."""

MODEL_CHARACTERS = 100

Parsed = TypeVar("Parsed")

RETRY_AFTER_MAX_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached: whose key, which address, and whether that leads into this house."""

    model: str
    api_key: str
    base_url: str | None
    guard: UrlGuard
    at_home: bool = False
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Completion:
    """What one call gave."""

    text: str
    model: str
    usage: Usage


@dataclass(slots=True)
class CallReport:
    """Filled in while a call runs, for the gate to read afterwards."""

    usage: Usage | None = None


Gate = Callable[[Prompt, Access, Price], AbstractAsyncContextManager[CallReport]]
"""Admits a call or raises; entered before anything is sent, left when it is known how the call ended."""


@asynccontextmanager
async def open_gate(prompt: Prompt, access: Access, price: Price) -> AsyncIterator[CallReport]:
    """Admits everything and records nothing: for the evaluation of models on papers that are nobody's."""
    yield CallReport()


class RemoteProvider(ABC):
    """`AIProvider` over HTTP; subclasses say how one call is made."""

    name: ClassVar[ProviderName]
    in_process: ClassVar[bool] = False
    title: ClassVar[str]
    """The provider's name for people."""
    sdk: ClassVar[str]
    """The package that speaks with it: imported at the first call, in a thread, because that takes up to seconds."""

    def __init__(self, access: Access, gate: Gate) -> None:
        self._access = access
        self._gate = gate

    @abstractmethod
    async def _send(self, prompt: Prompt) -> Completion:
        """Makes the call. Raises ProviderError, or what the SDK raises, which `_failure` understands."""

    @property
    def price(self) -> Price:
        """What the model's tokens cost."""
        return prices.price_of(self.name, self._access.model, self._access.base_url, at_home=self._access.at_home)

    async def classify(
        self,
        document: DocumentText,
        topics: Sequence[TopicOption],
        examples: Sequence[TopicExample] = (),
        wanted: Sequence[DetailName] = (),
    ) -> Classification:
        if not topics and not wanted:
            return Classification((), self._access.model)
        prompt = prompts.classification(document, topics, examples, wanted)
        done, (claims, details) = await self._complete(
            prompt, lambda text: (prompts.matches_of(text, prompt), prompts.details_of(text, prompt))
        )
        matches, note = checked_matches(claims, document, topics), self._note(prompt, done)
        if speaks_to_models(document):
            matches = tuple(replace(match, confidence=min(match.confidence, UNPROVEN_CONFIDENCE)) for match in matches)
            note = f"{note} The document seems to give orders to an AI, so nothing was filed by itself.".strip()
            details = []
        return Classification(matches, done.model, done.usage, note, checked_details(details, document))

    async def suggest_topics(self, document: DocumentText, topics: Sequence[TopicOption]) -> TopicIdeas:
        done, claims = await self._complete(prompts.ideas(document, topics), prompts.ideas_of)
        return TopicIdeas(checked_ideas(claims, topics), done.model, done.usage)

    async def health_check(self) -> ProviderHealth:
        await self._load_sdk()
        started = perf_counter()  # the provider's time, not that of loading its SDK
        try:
            done, _ = await self._complete(prompts.HEALTH, str)
        except ProviderAnswerTruncated:
            # Five tokens are not enough for a talkative model; that it talks is what was asked.
            return ProviderHealth(True, _milliseconds(started), f"{self.title} answers.")
        except ProviderError as failed:
            return ProviderHealth(False, _milliseconds(started), str(failed))
        return ProviderHealth(True, _milliseconds(started), f"{self.title} answers with {done.model}.")

    async def _complete(self, prompt: Prompt, read: Callable[[str], Parsed]) -> tuple[Completion, Parsed]:
        """Makes the call and reads its response, all of it within the gate: a response that cannot be read is a call that failed."""
        await self._load_sdk()
        async with self._gate(prompt, self._access, self.price) as report:
            try:
                async with asyncio.timeout(self._access.seconds):
                    done = await self._send(prompt)
            except ProviderError as failed:
                report.usage = failed.usage
                raise
            except TimeoutError:
                raise ProviderTimedOut(f"{self.title} did not answer within {self._access.seconds:g} seconds.") from None
            except Exception as failed:
                raise self._failure(failed) from failed
            report.usage = done.usage
            try:
                return done, read(done.text)
            except ProviderAnswerInvalid as invalid:
                invalid.usage = done.usage
                raise

    async def _load_sdk(self) -> None:
        await asyncio.to_thread(importlib.import_module, self.sdk)

    def _failure(self, failed: Exception) -> ProviderError:
        """An SDK's exception as one of ours."""
        status = getattr(failed, "status_code", None)
        response = getattr(failed, "response", None)
        if isinstance(status, int) and response is not None:
            return failure_of(self.title, status, getattr(failed, "body", None), response.headers)
        causes = _causes(failed)
        if any(type(cause).__name__ in ("APITimeoutError", "ReadTimeout", "ConnectTimeout", "PoolTimeout") for cause in causes):
            return ProviderTimedOut(f"{self.title} did not answer in time.")
        for cause in causes:
            if isinstance(cause, HostNotAllowed | UrlNotAllowed):
                return ProviderAddressRefused(f"{self.title} was not asked. {cause}")
            if isinstance(cause, ResponseTooLarge):
                return ProviderAnswerInvalid(f"{self.title} sent something that is no answer. {cause}")
        if any(type(cause).__name__ in ("APIConnectionError", "TransportError", "ConnectError") for cause in causes):
            return ProviderUnavailable(f"{self.title} cannot be reached.")
        return ProviderAnswerInvalid(f"{self.title} sent something that is no answer.")

    def _note(self, prompt: Prompt, done: Completion) -> str:
        return ""

    def model_named(self, body: Mapping[str, Any]) -> str:
        """The model that a response names; a server may write anything there."""
        return one_line(body.get("model"), MODEL_CHARACTERS) or self._access.model

    def usage(self, input_tokens: object, output_tokens: object, prompt: Prompt, text: str = "") -> Usage:
        """What a response says it cost; what it does not say, or cannot be, is estimated."""
        read = believed(input_tokens)
        written = believed(output_tokens)
        told_in = prompt.input_tokens if read is None else read
        told_out = min(prompt.max_tokens, len(text) // 3 + 1) if written is None else written
        return Usage(told_in, told_out, float(self.price.cost(told_in, told_out)))


def believed(tokens: object) -> int | None:
    """A count of tokens as a response gives it, or None."""
    if isinstance(tokens, bool) or not isinstance(tokens, int | float) or not math.isfinite(tokens) or not 0 <= tokens <= TOKENS_BELIEVED:
        return None
    return int(tokens)


def json_body(raw: bytes, title: str) -> Mapping[str, Any]:
    """A response's JSON object. Raises ProviderAnswerInvalid: a page of HTML with status 200, say."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ProviderAnswerInvalid(f"{title} sent something that is no answer.") from None
    if not isinstance(found, dict):
        raise ProviderAnswerInvalid(f"{title} sent something that is no answer.")
    return found


_NO_CREDIT = ("insufficient_quota", "billing", "credit balance", "payment_required", "exceeded your current quota")
_TOO_LONG = (
    "context_length",
    "context length",
    "context window",
    "prompt is too long",
    "too many tokens",
    "maximum context",
    "exceeds the context",
)
_FILTERED = ("content_filter", "content_policy", "content management policy", "safety", "responsibleai")


def failure_of(title: str, status: int, body: object, headers: Mapping[str, str]) -> ProviderError:
    """An error response as one of ours; both APIs' shapes, and those of servers that are only alike."""
    told = _told(body)
    low = told.lower()
    after = retry_after(headers)
    if status == 402 or (status in (400, 403, 429) and any(word in low for word in _NO_CREDIT)):
        return ProviderOutOfCredit(f"The account at {title} has no credit left.")
    if status in (401, 403):
        return ProviderKeyRefused(f"{title} refuses the API key, or what it may do.")
    if status == 404:
        return ProviderModelUnknown(f"{title} does not know this model or address.")
    if status == 413 or (status in (400, 422) and any(word in low for word in _TOO_LONG)):
        return ProviderTextTooLong(f"{title} finds the text too long for this model.")
    if status in (400, 422) and any(word in low for word in _FILTERED):
        return ProviderDeclined(f"{title} would not read this document.")
    if status == 429:
        return ProviderRateLimited(f"{title} was asked too often.", retry_after=after)
    if status == 529 or (status == 503 and after is not None) or "overloaded" in low:
        return ProviderOverloaded(f"{title} is overloaded.", retry_after=after)
    if status in (408, 409) or status >= 500:
        return ProviderUnavailable(f"{title} failed (HTTP {status}).", retry_after=after)
    if 300 <= status < 400:
        return ProviderAddressRefused(f"{title} sends its callers elsewhere (HTTP {status}), which is not followed.")
    return ProviderRequestRefused(f"{title} refuses the request (HTTP {status}).")


def _told(body: object) -> str:
    """Type, code and message of an error's body."""
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(inner, Mapping):
        return " ".join(str(inner.get(name)) for name in ("type", "code", "param", "message") if inner.get(name))[:2000]
    return str(inner)[:2000] if inner is not None else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `Retry-After` in either form (RFC 9110, section 10.2.3); None without one that makes sense."""
    told = headers.get("retry-after", "").strip()
    if not told:
        return None
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(told) - now()).total_seconds()
        except (ValueError, TypeError, IndexError):
            return None
    if not math.isfinite(seconds):
        return None
    return min(RETRY_AFTER_MAX_SECONDS, max(1.0, seconds))


def _causes(failed: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = failed
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def _milliseconds(started: float) -> float:
    return round((perf_counter() - started) * 1000, 1)


def declined(title: str, usage: Usage) -> ProviderDeclined:
    """The model refused, or a filter did."""
    return ProviderDeclined(f"{title} would not read this document.", usage=usage)


def truncated(title: str, usage: Usage) -> ProviderAnswerTruncated:
    """The response ended at max_tokens."""
    return ProviderAnswerTruncated(f"{title} did not come to an end with its answer.", usage=usage)


def too_long(title: str, usage: Usage) -> ProviderTextTooLong:
    """The model's context was full."""
    return ProviderTextTooLong(f"{title} finds the text too long for this model.", usage=usage)
