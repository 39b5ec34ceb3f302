"""How good a provider's answers are: accuracy, macro-F1, calibration, evidence, by their usual definitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.documents.classify_step import FILED_FROM, SUGGESTED_FROM

BINS = 10


@dataclass(frozen=True)
class Answer:
    """A document's topic, what the provider's surest answer was (None: none at all), and whether a quote proved it."""

    wanted: UUID
    given: UUID | None
    confidence: float = 0.0
    proven: bool = False


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies in one tenth: how many, how sure on average, which share of them right."""

    answers: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Scores:
    """`calibration_error`: how far confidences are from how often they are right (expected calibration error, ten bins); `calibration` has
    the bins that hold answers, the least sure first."""

    documents: int
    accuracy: float
    macro_f1: float
    filed: float
    filed_precision: float
    calibration_error: float
    evidence: float
    calibration: tuple[Bin, ...] = ()


def scores(answers: Sequence[Answer]) -> Scores:
    """Of the answers that reach SUGGESTED_FROM; evidence is the share of right ones with a quote."""
    given = [answer.given if answer.confidence >= SUGGESTED_FROM else None for answer in answers]
    right = [answer for answer, topic in zip(answers, given, strict=True) if topic == answer.wanted]
    filed = [answer for answer in answers if answer.confidence >= FILED_FROM]
    bins = _bins([answer for answer in answers if answer.given is not None])
    return Scores(
        documents=len(answers),
        accuracy=len(right) / len(answers),
        macro_f1=_macro_f1([answer.wanted for answer in answers], given),
        filed=len(filed) / len(answers),
        filed_precision=sum(answer.given == answer.wanted for answer in filed) / max(1, len(filed)),
        calibration_error=sum(abs(one.right - one.confidence) * one.answers for one in bins) / max(1, sum(one.answers for one in bins)),
        evidence=sum(answer.proven for answer in right) / max(1, len(right)),
        calibration=bins,
    )


def _macro_f1(wanted: Sequence[UUID], given: Sequence[UUID | None]) -> float:
    each: Mapping[UUID, float] = {
        topic: 2 * hits / max(1, wanted.count(topic) + given.count(topic))
        for topic in set(wanted)
        for hits in [sum(one == other == topic for one, other in zip(wanted, given, strict=True))]
    }
    return sum(each.values()) / len(each)


def _bins(sure: Sequence[Answer]) -> tuple[Bin, ...]:
    found = []
    for number in range(BINS):
        inside = [answer for answer in sure if number / BINS <= min(answer.confidence, 0.999) < (number + 1) / BINS]
        if inside:
            right = sum(answer.given == answer.wanted for answer in inside) / len(inside)
            found.append(Bin(len(inside), sum(answer.confidence for answer in inside) / len(inside), right))
    return tuple(found)
