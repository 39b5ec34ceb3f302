"""The catalogue: what was published is what arrives, and no event is published beside it."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared
from infra.functions import ROOT, event_functions
from infra.worker.app import Worker
from infra.worker.discovery import load_event_functions
from shared.clock import now
from shared.config import settings
from shared.events import catalogue
from shared.events.catalogue import (
    AccountDeleted,
    BucketNotification,
    ClassificationDue,
    CloudFileChosen,
    DocumentEvent,
    DocumentExtracted,
    DocumentLarge,
    DocumentPurged,
    DocumentReady,
    DocumentScanned,
    DocumentStored,
    EmailRequested,
    ExportRequested,
    JobDue,
    LookDue,
    MoveRequested,
    Tick,
)
from shared.events.event import Event, Malformed
from shared.events.signing import REJECTED_HEADER, request_for
from shared.events.subscriptions import SUBSCRIPTIONS
from shared.faas.declarations import EventDeclaration
from shared.ids import new_id

OWNER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
THING = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
ABOUT_DOCUMENT: dict[str, Any] = {"owner_id": OWNER, "document_id": THING, "revision": 3}
DOCUMENT_DATA = {"document_id": str(THING), "revision": 3}
NOTIFICATION = {"bucket": "docuvault", "key": f"{OWNER}/x/y.pdf", "size": 14, "etag": "e", "content_type": "application/pdf"}
NOTIFICATION |= {"sequencer": "17F3A0", "event_name": "s3:ObjectCreated:Put", "event_time": "2026-01-01T00:00:00Z"}

# What a vault may hold undelivered when it is upgraded: type, subject, data, deduplication key.
STORED: list[tuple[Event, str, str, dict[str, Any], str | None]] = [
    (DocumentStored(**ABOUT_DOCUMENT), "document.stored", str(THING), DOCUMENT_DATA, f"document.stored/{THING}/3"),
    (DocumentLarge(**ABOUT_DOCUMENT), "document.large", str(THING), DOCUMENT_DATA, f"document.large/{THING}/3"),
    (
        DocumentScanned(**ABOUT_DOCUMENT, done=7),
        "document.scanned",
        str(THING),
        DOCUMENT_DATA | {"done": 7},
        f"document.scanned/{THING}/3/7",
    ),
    (DocumentExtracted(**ABOUT_DOCUMENT), "document.extracted", str(THING), DOCUMENT_DATA, f"document.extracted/{THING}/3"),
    (DocumentReady(**ABOUT_DOCUMENT), "document.ready", str(THING), DOCUMENT_DATA, f"document.ready/{THING}/3"),
    (
        DocumentPurged(owner_id=OWNER, document_id=THING, object_keys=["a/b", ".derived/a"]),
        "document.purged",
        str(THING),
        {"document_id": str(THING), "object_keys": ["a/b", ".derived/a"]},
        None,
    ),
    (JobDue(owner_id=OWNER, job_id=THING, slices=2), "job.due", str(THING), {"job_id": str(THING), "slices": 2}, f"job.due/{THING}/2"),
    (
        MoveRequested(owner_id=OWNER, document_id=THING, move_id=OWNER),
        "document.move",
        str(THING),
        {"document_id": str(THING), "move_id": str(OWNER)},
        f"document.move/{OWNER}",
    ),
    (CloudFileChosen(owner_id=OWNER, document_id=THING), "cloud.file", str(THING), {"document_id": str(THING)}, f"cloud.file/{THING}"),
    (
        LookDue(owner_id=OWNER, folder_id=THING, looks=1, announced=2),
        "cloud.look",
        str(THING),
        {"folder_id": str(THING), "looks": 1, "announced": 2},
        f"cloud.look/{THING}/2",
    ),
    (ExportRequested(owner_id=OWNER, export_id=THING), "cloud.export", str(THING), {"export_id": str(THING)}, f"cloud.export/{THING}"),
    (ClassificationDue(owner_id=OWNER), "classification.due", str(OWNER), {"owner_id": str(OWNER)}, None),
    (EmailRequested(owner_id=None, mail_id=THING), "email.requested", str(THING), {"mail_id": str(THING)}, None),
    (AccountDeleted(owner_id=OWNER), "account.deleted", str(OWNER), {"user_id": str(OWNER)}, None),
    (
        BucketNotification(owner_id=OWNER, **NOTIFICATION),
        "s3:ObjectCreated:Put",
        f"{OWNER}/x/y.pdf",
        NOTIFICATION,
        f"docuvault/{OWNER}/x/y.pdf/17F3A0",
    ),
    (
        Tick(name="sweep", tick=datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        "schedule.sweep",
        "sweep",
        {"tick": "2026-11-24T12:30:00Z"},
        "sweep@2026-11-24T12:30:00Z",
    ),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "owner_id": st.uuids(),
    "document_id": st.uuids(),
    "mail_id": st.uuids(),
    "job_id": st.uuids(),
    "move_id": st.uuids(),
    "folder_id": st.uuids(),
    "export_id": st.uuids(),
    "looks": st.integers(0, 2**31 - 1),
    "announced": st.integers(0, 2**31 - 1),
    "slices": st.integers(0, 2**31 - 1),
    "object_keys": st.lists(TEXT, max_size=3),
    "revision": st.integers(1, 2**31 - 1),
    "done": st.integers(0, 2**31 - 1),
    "tick": st.datetimes(timezones=st.just(UTC)),
    "size": st.none() | st.integers(0, 2**53 - 1),
}


def everything() -> list[type[Event]]:
    """The catalogue's events, without what they have in common."""
    declared = [entry for entry in vars(catalogue).values() if isinstance(entry, type) and issubclass(entry, Event)]
    return [event for event in declared if event not in (Event, DocumentEvent)]


@st.composite
def events(draw: st.DrawFn) -> Event:
    model = draw(st.sampled_from(everything()))
    fields = {name: draw(FIELDS.get(name, TEXT)) for name in model.model_fields}
    if model is Tick or (model is EmailRequested and draw(st.booleans())):
        fields["owner_id"] = None
    return model(**fields)


@given(events())
def test_what_was_published_is_what_arrives(event: Event) -> None:
    data = json.loads(json.dumps(event.data()))
    arrived = type(event).received(owner_id=event.owner_id, subject=event.subject, data=data)
    assert arrived == event
    assert (arrived.type, arrived.subject, arrived.dedup_key) == (event.type, event.subject, event.dedup_key)


@pytest.mark.parametrize(
    ("event", "type", "subject", "data", "dedup_key"), STORED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_older_versions_published_is_understood(
    event: Event, type: str, subject: str, data: dict[str, Any], dedup_key: str | None
) -> None:
    assert (event.type, event.subject, event.data(), event.dedup_key) == (type, subject, data, dedup_key)
    assert event.received(owner_id=event.owner_id, subject=subject, data=data) == event


def test_every_event_has_its_stored_form_here() -> None:
    assert {type(event) for event, *_ in STORED} == set(everything())


def test_a_field_that_a_newer_version_added_is_no_obstacle() -> None:
    assert DocumentStored.received(owner_id=OWNER, subject="", data=DOCUMENT_DATA | {"page": 1}) == DocumentStored(**ABOUT_DOCUMENT)


def test_an_event_is_declared_in_the_catalogue_and_nowhere_else() -> None:
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(module.name)
    declared = {event for event in _descendants(Event) if not event.__module__.startswith("tests.")}
    assert declared == {*everything(), DocumentEvent}
    assert len({event.TYPE for event in everything()}) == len(everything())


def test_events_are_written_in_one_place() -> None:
    written = [
        str(path.relative_to(ROOT))
        for folder in ("shared", "functions", "infra")
        for path in (ROOT / folder).rglob("*.py")
        if "INSERT INTO events" in path.read_text()
    ]
    assert written == ["shared/events/publish.py"]


@pytest.mark.parametrize("event", everything(), ids=lambda event: event.__name__)
def test_an_event_has_a_handler_or_says_that_it_has_none(event: type[Event]) -> None:
    assert any(fnmatchcase(type, event.TYPE) for type in SUBSCRIPTIONS) == event.HANDLED


@pytest.mark.parametrize("declaration", event_functions(), ids=lambda declaration: declaration.name)
def test_a_function_is_woken_by_what_it_takes(declaration: EventDeclaration) -> None:
    assert fnmatchcase(declaration.event_type, declaration.event.TYPE)


def malformed() -> Iterator[tuple[type[DocumentEvent], dict[str, Any], UUID | None]]:
    for model in (DocumentStored, DocumentExtracted, DocumentScanned):
        whole = DOCUMENT_DATA | {"done": 0}
        yield model, whole, None
        yield model, {}, OWNER
        for wrong in ({"document_id": "none"}, {"document_id": None}, {"revision": "a"}, {"revision": 0}, {"revision": 1.5}):
            yield model, whole | wrong, OWNER
    yield DocumentScanned, DOCUMENT_DATA, OWNER


@pytest.mark.parametrize(("model", "data", "owner_id"), list(malformed()))
def test_what_does_not_fit_is_malformed(model: type[DocumentEvent], data: dict[str, Any], owner_id: UUID | None) -> None:
    with pytest.raises(Malformed, match=f"the event is no {model.__name__}: "):
        model.received(owner_id=owner_id, subject=str(THING), data=data)


@pytest.mark.parametrize("declaration", event_functions(), ids=lambda declaration: declaration.name)
async def test_a_malformed_event_is_rejected_before_the_function_sees_it(declaration: EventDeclaration) -> None:
    headers, body = request_for(
        event_id=new_id(),
        type=declaration.event_type.replace("*", "Put"),
        owner_id=None,
        subject="",
        data={"document_id": "none", "mail_id": "none", "tick": "none"},
        time=now(),
        secrets=settings().secret_key,
        now=now(),
    )
    worker = Worker(load_event_functions())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(worker), base_url="http://worker") as client:
        answer = await client.post(f"/{declaration.service}", headers=headers, content=body)
    assert (answer.status_code, answer.headers.get(REJECTED_HEADER)) == (422, "1")
    assert answer.text.startswith(f"the event is no {declaration.event.__name__}: ")


def _descendants(model: type[Event]) -> Iterator[type[Event]]:
    for child in model.__subclasses__():
        yield child
        yield from _descendants(child)
