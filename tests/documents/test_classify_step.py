"""From `extracted` to `ready`: what is filed, what is suggested, and that nothing is done twice."""

from uuid import UUID

import pytest

from shared.ai.registry import LOCAL, ProviderChoice
from shared.db import Database, TenantDatabase
from shared.documents import classify_step, suggestions, topics
from tests.ai.labelled import HABITS
from tests.documents import papers
from tests.documents.papers import INVOICE, POEM, REMINDER


async def _classify(db: Database, owner: UUID, document_id: UUID, *, revision: int = 1, system: ProviderChoice = LOCAL) -> bool:
    return await classify_step.classify(TenantDatabase(db, owner), document_id=document_id, revision=revision, system=system)


async def _status(db: Database, owner: UUID, document_id: UUID) -> str:
    async with db.tenant(owner) as tx:
        return str(await tx.fetch_value("SELECT status FROM documents WHERE id = %s", (document_id,)))


async def _reprocess(db: Database, owner: UUID, document_id: UUID, text: str) -> None:
    async with db.tenant(owner) as tx:
        await tx.execute("UPDATE documents SET revision = revision + 1, status = 'extracted' WHERE id = %s", (document_id,))
        await tx.execute("UPDATE document_pages SET text = %s WHERE document_id = %s", (text, document_id))


async def test_what_is_sure_is_filed_with_its_reason(db: Database, owner: UUID) -> None:
    invoices, garden = await papers.topic(db, owner, "Invoices"), await papers.topic(db, owner, "Garden")
    document = await papers.extracted(db, owner, "Cover letter", INVOICE)
    assert await _classify(db, owner, document)
    async with db.tenant(owner) as tx:
        (filing,) = await papers.filings(tx, document)
        (suggestion,) = await suggestions.of_document(tx, owner_id=owner, document_id=document)
        step = await papers.step(tx, document)
        assert await papers.published(tx, document) == ["document.ready"]
    assert await _status(db, owner, document) == "ready"
    assert (filing.topic_id, filing.source) == (invoices, "ai")
    assert filing.confidence is not None
    assert filing.confidence >= classify_step.FILED_FROM
    assert (suggestion.topic.id, suggestion.topic.name, suggestion.state) == (invoices, "Invoices", "accepted")
    assert (suggestion.provider, suggestion.page) == ("local", 2)
    assert suggestion.quote is not None
    assert suggestion.quote in INVOICE
    assert step is not None
    assert (step.state, step.detail) == ("done", "Filed under Invoices.")
    assert garden != filing.topic_id


async def test_what_is_likely_is_suggested_and_what_fits_nothing_gets_nothing(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Garden club")
    reminder, poem = await papers.extracted(db, owner, REMINDER), await papers.extracted(db, owner, POEM)
    assert await _classify(db, owner, reminder)
    assert await _classify(db, owner, poem)
    async with db.tenant(owner) as tx:
        assert await papers.filings(tx, reminder) == []
        assert [s.state for s in await suggestions.of_document(tx, owner_id=owner, document_id=reminder)] == ["open"]
        assert await suggestions.of_document(tx, owner_id=owner, document_id=poem) == []
        step = await papers.step(tx, poem)
    assert step is not None
    assert step.detail == "No topic fits."


async def test_mode_suggest_files_nothing(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    assert await _classify(db, owner, document, system=ProviderChoice("local", LOCAL.model, "suggest"))
    async with db.tenant(owner) as tx:
        assert await papers.filings(tx, document) == []
        assert [s.state for s in await suggestions.of_document(tx, owner_id=owner, document_id=document)] == ["open"]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_a_provider_without_its_key_leaves_the_document_ready_and_says_so(db: Database, owner: UUID, provider: str) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    assert await _classify(db, owner, document, system=ProviderChoice(provider, "some-model"))  # type: ignore[arg-type]
    async with db.tenant(owner) as tx:
        assert await papers.filings(tx, document) == []
        step = await papers.step(tx, document)
    assert await _status(db, owner, document) == "ready"
    assert step is not None
    assert step.state == "failed"
    assert provider in (step.detail or "")


async def test_local_only_keeps_a_document_from_providers_outside(db: Database, owner: UUID) -> None:
    invoices = await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE, ai_policy="local_only")
    assert await _classify(db, owner, document, system=ProviderChoice("openai", "some-model"))
    async with db.tenant(owner) as tx:
        assert [filing.topic_id for filing in await papers.filings(tx, document)] == [invoices]


async def test_a_document_nothing_may_read_becomes_ready_unread(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE, ai_policy="never")
    assert await _classify(db, owner, document)
    async with db.tenant(owner) as tx:
        assert await papers.filings(tx, document) == []
        assert await tx.fetch_value("SELECT count(*) FROM document_terms WHERE document_id = %s", (document,)) == 0
    assert await _status(db, owner, document) == "ready"


async def test_without_topics_or_pages_a_document_is_ready_too(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner)
    assert await _classify(db, owner, document)
    assert await _status(db, owner, document) == "ready"


async def test_the_second_delivery_changes_nothing(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    assert await _classify(db, owner, document)
    assert not await _classify(db, owner, document)
    async with db.tenant(owner) as tx:
        assert await papers.published(tx, document) == ["document.ready"]
        step = await papers.step(tx, document)
    assert step is not None
    assert step.attempts == 1


@pytest.mark.parametrize("status", ["uploading", "stored", "ready", "failed"])
async def test_only_an_extracted_document_is_classified(db: Database, owner: UUID, status: str) -> None:
    document = await papers.extracted(db, owner, INVOICE, status=status)
    assert not await _classify(db, owner, document)
    assert await _status(db, owner, document) == status


async def test_an_event_of_an_older_revision_has_no_effect(db: Database, owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    await _reprocess(db, owner, document, INVOICE)
    assert not await _classify(db, owner, document, revision=1)
    assert await _status(db, owner, document) == "extracted"
    assert await _classify(db, owner, document, revision=2)


async def test_another_owner_s_document_is_not_there(db: Database, owner: UUID, other_owner: UUID) -> None:
    document = await papers.extracted(db, owner, INVOICE)
    assert not await _classify(db, other_owner, document)


async def test_reading_it_anew_replaces_the_provider_s_word_but_not_the_owner_s(db: Database, owner: UUID) -> None:
    invoices, travel, keep = [await papers.topic(db, owner, name) for name in ("Invoices", "Travel", "Keep")]
    document = await papers.extracted(db, owner, INVOICE)
    await _classify(db, owner, document)
    async with db.tenant(owner) as tx:
        await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[keep])
        assert {filing.topic_id for filing in await papers.filings(tx, document)} == {invoices, keep}
    booking = (
        "Booking confirmation. Flight number AB 12, passenger Ms Solberg. Departure from the airport 07:35. Boarding pass, baggage, gate."
    )
    await _reprocess(db, owner, document, booking)
    assert await _classify(db, owner, document, revision=2)
    async with db.tenant(owner) as tx:
        assert {filing.topic_id for filing in await papers.filings(tx, document)} == {travel, keep}
        assert {s.topic.id for s in await suggestions.of_document(tx, owner_id=owner, document_id=document)} == {travel}


async def test_a_topic_rejected_for_a_document_is_not_proposed_again(db: Database, owner: UUID) -> None:
    await papers.topic(db, owner, "Invoices")
    document = await papers.extracted(db, owner, INVOICE)
    await _classify(db, owner, document)
    async with db.tenant(owner) as tx:
        (suggestion,) = await suggestions.of_document(tx, owner_id=owner, document_id=document)
        await suggestions.decide(tx, owner_id=owner, document_id=document, suggestion_id=suggestion.id, decision="reject")
        assert await papers.filings(tx, document) == []
    await _reprocess(db, owner, document, INVOICE)
    await _classify(db, owner, document, revision=2)
    async with db.tenant(owner) as tx:
        assert await papers.filings(tx, document) == []
        assert [s.state for s in await suggestions.of_document(tx, owner_id=owner, document_id=document)] == ["rejected"]


async def test_learning_changes_the_next_classification(db: Database, owner: UUID) -> None:
    """A topic whose name says nothing, taught by three papers."""
    box = await papers.topic(db, owner, "Box 7")
    *lessons, last = HABITS["Oakfield"]
    for text in lessons:
        document = await papers.extracted(db, owner, text)
        await _classify(db, owner, document)
        async with db.tenant(owner) as tx:
            await topics.file(tx, owner_id=owner, document_id=document, topic_ids=[box])
    document = await papers.extracted(db, owner, last)
    await _classify(db, owner, document)
    async with db.tenant(owner) as tx:
        (suggestion,) = await suggestions.of_document(tx, owner_id=owner, document_id=document)
    assert suggestion.topic.id == box
    assert suggestion.quote is not None
    assert suggestion.quote in last
