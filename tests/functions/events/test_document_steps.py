"""The event functions of a document's way, called as the worker calls them: every one of them as often as it likes."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from shared.clock import now
from shared.db import Database, TenantDatabase
from shared.documents import library
from shared.faas import Event, Rejected
from shared.faas.declarations import EVENT_FUNCTIONS
from shared.ids import new_id
from tests.documents.conftest import create, published, row, send

Run = Callable[..., Awaitable[None]]


@pytest.fixture
def run() -> Run:
    """`await run("events.object_created", type=…, …)`."""

    async def call(
        function: str, *, type: str, subject: str = "", owner_id: UUID | None = None, data: dict[str, Any] | None = None
    ) -> None:
        importlib.import_module(f"functions.{function}")
        event = Event(id=new_id(), type=type, owner_id=owner_id, subject=subject, data=data or {}, time=now())
        await EVENT_FUNCTIONS[function.rpartition(".")[2]].handler(event)

    return call


async def test_a_document_goes_its_way_however_often_it_is_told(db: Database, owner: UUID, run: Run) -> None:
    vault = TenantDatabase(db, owner)
    created = await create(vault)
    await send(created)
    key = await row(vault, created.document.id, "object_key")
    for _ in range(3):
        await run("events.object_created", type="s3:ObjectCreated:Put", subject=key, data={"bucket": "docuvault", "key": key})
    [stored] = await published(vault, created.document.id)
    for _ in range(3):
        await run("events.extract_document", type=stored.type, subject=str(created.document.id), owner_id=owner, data=stored.data)
    assert (await library.get(vault, created.document.id)).status == "extracted"
    assert [event.type for event in await published(vault, created.document.id)] == ["document.stored", "document.extracted"]


async def test_events_out_of_order_do_no_harm(db: Database, owner: UUID, run: Run) -> None:
    vault = TenantDatabase(db, owner)
    created = await create(vault)
    data = {"document_id": str(created.document.id), "revision": 1}
    await run("events.extract_document", type="document.stored", subject=str(created.document.id), owner_id=owner, data=data)
    await run("events.extract_document", type="document.stored", owner_id=owner, data={"document_id": str(new_id()), "revision": 1})
    assert (await library.get(vault, created.document.id)).status == "uploading"


@pytest.mark.parametrize("step", [("events.extract_document", "document.stored"), ("events.classify_document", "document.extracted")])
async def test_an_event_that_names_no_owner_or_no_document_is_rejected(run: Run, owner: UUID, step: tuple[str, str]) -> None:
    function, type = step
    with pytest.raises(Rejected):
        await run(function, type=type, data={"document_id": str(new_id()), "revision": 1})
    for data in ({}, {"document_id": "none", "revision": 1}, {"document_id": None, "revision": 1}, {"document_id": str(new_id())}):
        with pytest.raises(Rejected):
            await run(function, type=type, owner_id=owner, data=data)


async def test_keys_that_are_none_of_ours_are_passed_over(run: Run) -> None:
    for key in ("", "x", "../../etc/passwd", "a/b/c/d", "\U0001f4c4", "%00", ".derived/x.webp"):
        await run("events.object_created", type="s3:ObjectCreated:Put", subject=key)


async def test_the_schedules_run(db: Database, run: Run) -> None:
    await run("schedules.reconcile_uploads", type="schedule.reconcile_uploads")
    await run("schedules.cleanup_abandoned_uploads", type="schedule.cleanup_abandoned_uploads")
