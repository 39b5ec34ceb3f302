"""An object was created in the bucket: checks it against its document, which is then `stored`."""

import logging

from shared.documents import upload_step
from shared.faas import Event, on_bucket_event

log = logging.getLogger("docuvault.documents")


@on_bucket_event("s3:ObjectCreated:*", queue="documents")
async def object_created(event: Event) -> None:
    outcome = await upload_step.object_arrived(event.subject)
    log.info("object created", extra={"fields": {"outcome": outcome}})
