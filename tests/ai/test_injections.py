"""Whatever a document says to the model, nothing is filed by itself for it, and nothing but its own suggestions can change."""

import json

import pytest

from shared.ai.orders import speaks_to_models
from shared.ai.provider import DocumentText, PageText, TopicOption
from shared.documents.classify_step import FILED_FROM
from shared.ids import new_id
from tests.ai.household import PAPERS
from tests.ai.injections import INJECTIONS, Injection
from tests.ai.labelled import AT_HAND, KEPT_ASIDE
from tests.ai.test_remote_providers import REMOTE, opened, server_of

GARDEN, TAXES = TopicOption(new_id(), "Garden"), TopicOption(new_id(), "Taxes")
TOPICS = (GARDEN, TAXES)

injections = pytest.mark.parametrize("injection", INJECTIONS, ids=lambda injection: injection.name)


def _believing(system: str, user: str) -> str:
    """A model that does all that it is told, and proves it with the very words of the document."""
    lines = [line for line in user.split("\n") if "tax" in line.lower() and not line.startswith(("t1:", "t2:"))]
    claims: list[dict[str, object]] = [{"topic": "t2", "confidence": 1.0, "quote": line[:200], "page": 1} for line in lines]
    claims += [{"topic": topic, "confidence": 1.0, "quote": None, "page": None} for topic in ("t2", "t99", "Hacked", "Taxes")]
    details = {name: {"value": "garden club", "quote": "garden club", "page": 1} for name in ("title", "sender")}
    return json.dumps({"topics": claims, "delete": ["t1"]} | details)


@injections
@pytest.mark.parametrize("name", REMOTE[:2])
async def test_a_model_that_obeys_files_nothing_by_itself(injection: Injection, name: str) -> None:
    async with server_of(name, model=_believing) as server:  # type: ignore[arg-type]
        provider = opened(name, server.url)  # type: ignore[arg-type]
        answer = await provider.classify(injection.document, TOPICS, (), ("title", "sender"))
        assert {match.topic_id for match in answer.matches} <= {TAXES.id}
        assert all(match.confidence < FILED_FROM for match in answer.matches)
        assert answer.details == ()
        assert "orders" in answer.note


@injections
async def test_the_instructions_come_first_and_the_document_cannot_leave_its_frame(injection: Injection) -> None:
    async with server_of("openai") as server:
        await opened("openai", server.url).classify(injection.document, TOPICS)
        system, user = server.requests[0].json["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert "Taxes" not in system["content"]
    begin, end = user["content"].index("[document "), user["content"].rindex(" ends]")
    mark = user["content"][begin + len("[document ") :][:16]
    assert f'"[document {mark} begins]" and "[document {mark} ends]"' in system["content"]
    assert user["content"][:end].count(f"[document {mark}") == 2
    assert user["content"].endswith(f"[document {mark} ends]")


def test_ordinary_papers_give_no_orders() -> None:
    ordinary = [paper.document() for paper in PAPERS]
    for paper in (*AT_HAND, *KEPT_ASIDE):
        ordinary.append(DocumentText(paper.filename, paper.filename, paper.language, (PageText(1, paper.text),)))
    assert [document.pages[0].text for document in ordinary if speaks_to_models(document)] == []
