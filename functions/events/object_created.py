"""An object was created in the bucket: checks it against its document, which is then `stored`."""

import logging

from shared.documents import upload_step
from shared.events.catalogue import BucketNotification
from shared.faas import on_bucket_event

log = logging.getLogger("docuvault.documents")


@on_bucket_event("s3:ObjectCreated:*", queue="documents")
async def object_created(notification: BucketNotification) -> None:
    outcome = await upload_step.object_arrived(notification.key)
    log.info("object created", extra={"fields": {"outcome": outcome}})
