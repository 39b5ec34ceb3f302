"""The event functions of a document's way, called as the worker calls them: every one of them as often as it likes."""

import importlib
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from shared.clock import now
from shared.db import Database, TenantDatabase
from shared.documents import library
from shared.events.catalogue import BucketNotification, DocumentStored, Tick
from shared.events.event import Event
from shared.faas.declarations import EVENT_FUNCTIONS
from shared.ids import new_id
from tests.documents.conftest import create, published, row, send

Run = Callable[[str, Event], Awaitable[None]]


def created_at(key: str) -> BucketNotification:
    return BucketNotification(owner_id=None, event_name="s3:ObjectCreated:Put", bucket="docuvault", key=key)


@pytest.fixture
def run() -> Run:
    """`await run("events.extract_document", DocumentStored(…))`."""

    async def call(function: str, event: Event) -> None:
        importlib.import_module(f"functions.{function}")
        await EVENT_FUNCTIONS[function.rpartition(".")[2]].handler(event)

    return call


async def test_a_document_goes_its_way_however_often_it_is_told(db: Database, owner: UUID, run: Run) -> None:
    vault = TenantDatabase(db, owner)
    created = await create(vault)
    await send(created)
    key = await row(vault, created.document.id, "object_key")
    for _ in range(3):
        await run("events.object_created", created_at(key))
    [stored] = await published(vault, created.document.id)
    for _ in range(3):
        await run("events.extract_document", DocumentStored.received(owner_id=owner, subject="", data=stored.data))
    assert (await library.get(vault, created.document.id)).status == "extracted"
    assert [event.type for event in await published(vault, created.document.id)] == ["document.stored", "document.extracted"]


async def test_events_out_of_order_do_no_harm(db: Database, owner: UUID, run: Run) -> None:
    vault = TenantDatabase(db, owner)
    created = await create(vault)
    for document_id in (created.document.id, new_id()):
        await run("events.extract_document", DocumentStored(owner_id=owner, document_id=document_id, revision=1))
    assert (await library.get(vault, created.document.id)).status == "uploading"


async def test_keys_that_are_none_of_ours_are_passed_over(run: Run) -> None:
    for key in ("", "x", "../../etc/passwd", "a/b/c/d", "\U0001f4c4", "%00", ".derived/x.webp"):
        await run("events.object_created", created_at(key))


async def test_the_schedules_run(db: Database, run: Run) -> None:
    for name in ("reconcile_uploads", "cleanup_abandoned_uploads"):
        await run(f"schedules.{name}", Tick(name=name, tick=now()))
