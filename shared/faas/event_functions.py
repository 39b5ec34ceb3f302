"""Event functions: woken by a domain event, a bucket notification, or the clock.

    @on_event(DocumentStored, queue="documents")
    async def extract_document(event: DocumentStored) -> None: ...

The decorators record the declaration and build on `functions_framework.aio.cloud_event`, so each function also serves alone. A function
sees only events that a broker of ours signed within the last five minutes, as the models of `shared.events.catalogue`: what does not fit
its model is rejected here. It returns: done. It raises Rejected: it will never succeed, a dead letter at once. It raises anything else:
the broker tries again later.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from fnmatch import fnmatchcase
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from shared.clock import now
from shared.config import settings
from shared.faas.declarations import EventDeclaration, Queue, declare
from shared.observability import measurements

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from starlette.exceptions import HTTPException

    from shared.events.catalogue import BucketNotification, Tick
    from shared.events.event import Event

log = logging.getLogger("docuvault.events")

E = TypeVar("E", bound="Event")
EventFunction = Callable[[E], Awaitable[None]]
CloudEventFunction = Callable[["CloudEvent"], Coroutine[Any, Any, None]]

_DETAIL_LIMIT = 500


class Rejected(Exception):
    """This event will never succeed; the message says why, for an admin who looks at dead letters."""


def on_event(event: type[E], *, queue: Queue = "documents") -> Callable[[EventFunction[E]], CloudEventFunction]:
    """Woken by each event of this class of the catalogue."""
    return _declared(event, event.TYPE, queue)


def on_bucket_event(pattern: str, *, queue: Queue = "documents") -> "Callable[[EventFunction[BucketNotification]], CloudEventFunction]":
    """Woken by bucket notifications whose event name fits `pattern`, e.g. `s3:ObjectCreated:*`."""
    from shared.events.catalogue import BucketNotification

    return _declared(BucketNotification, pattern, queue)


def on_schedule(cron: str, *, queue: Queue = "system") -> "Callable[[EventFunction[Tick]], CloudEventFunction]":
    """Woken by the clock at each tick of `cron` (five fields, UTC): once a tick however many brokers run.

    After an outage the last missed tick is made up for, the ones before it are not.
    """
    from shared.events.catalogue import Tick

    def decorate(function: EventFunction[Tick]) -> CloudEventFunction:
        return _declared(Tick, f"schedule.{function.__name__}", queue, schedule=cron)(function)

    return decorate


def _declared(
    event: type[E], event_type: str, queue: Queue, *, schedule: str | None = None
) -> Callable[[EventFunction[E]], CloudEventFunction]:
    def decorate(function: EventFunction[E]) -> CloudEventFunction:
        from functions_framework import aio

        name: str = function.__name__

        @wraps(function)
        async def handler(cloud_event: "CloudEvent") -> None:
            await _handle(name, event, event_type, function, cloud_event)

        declare(
            EventDeclaration(
                name=name,
                event=event,
                event_type=event_type,
                queue=queue,
                schedule=schedule,
                summary=(function.__doc__ or "").strip().partition("\n")[0],
                handler=function,
            )
        )
        return cast(CloudEventFunction, aio.cloud_event(handler))

    return decorate


async def _handle(name: str, model: type[E], event_type: str, function: EventFunction[E], cloud_event: "CloudEvent") -> None:
    """Runs the function; its failures become HTTP responses that the broker understands."""
    # Here, not above: HTTP functions import this module too and need nothing of events.
    from shared.events.event import Malformed
    from shared.events.signing import Untrusted, verify

    data: Any = cloud_event.get_data()
    try:
        envelope = verify(cloud_event.get_attributes(), data, settings().secret_key, now())
    except Untrusted as untrusted:
        log.warning("event refused", extra={"fields": {"function": name, "reason": str(untrusted)}})
        raise _failure(401, str(untrusted)) from None
    fields: dict[str, Any] = {"function": name, "event": str(envelope.id), "type": envelope.type}
    started = time.perf_counter()
    try:
        if not fnmatchcase(envelope.type, event_type):
            raise Rejected(f"{name} is woken by {event_type}, not by {envelope.type}")
        await function(model.received(owner_id=envelope.owner_id, subject=envelope.subject, data=data))
    except (Rejected, Malformed) as rejected:
        measurements.process.count_event(name, "rejected", time.perf_counter() - started)
        log.warning("event rejected", extra={"fields": {**fields, "reason": str(rejected)}})
        raise _failure(422, str(rejected), rejected=True) from None
    except Exception as failed:
        from shared.db import will_fail_again

        rejects = will_fail_again(failed)
        measurements.process.count_event(name, "rejected" if rejects else "failed", time.perf_counter() - started)
        if rejects:
            log.exception("event rejected: the database refuses what it would store", extra={"fields": fields})
            raise _failure(422, f"{type(failed).__name__}: {failed}", rejected=True) from failed
        # The whole story goes to the log; an admin sees the exception's first line beside the delivery.
        log.exception("event function failed", extra={"fields": fields})
        raise _failure(500, f"{type(failed).__name__}: {failed}") from failed
    measurements.process.count_event(name, "done", time.perf_counter() - started)
    log.info("event handled", extra={"fields": {**fields, "ms": round((time.perf_counter() - started) * 1000, 2)}})


def _failure(status: int, detail: str, *, rejected: bool = False) -> "HTTPException":
    from starlette.exceptions import HTTPException

    from shared.events.signing import REJECTED_HEADER

    first_line = detail.strip().partition("\n")[0][:_DETAIL_LIMIT]
    return HTTPException(status, detail=first_line, headers={REJECTED_HEADER: "1"} if rejected else None)
