"""Every event there is, once: what it says, when it is published, what it is about, and which key keeps it from being published twice.

    await publish(tx, DocumentStored(owner_id=…, document_id=…, revision=1))

    @on_event(DocumentStored)
    async def extract_document(event: DocumentStored) -> None: ...

Types and fields are stored with what is not delivered yet: a field may be added with a default, but none renamed or removed.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.events.event import Event

Owner = Annotated[UUID, Field(exclude=True)]
NoOwner = Annotated[None, Field(exclude=True)]


class DocumentEvent(Event):
    """A document has come so far; published once for each revision, so that the reconciler can tell whether it was."""

    owner_id: Owner
    document_id: UUID
    revision: int = Field(strict=True, ge=1)

    @property
    def subject(self) -> str:
        return str(self.document_id)

    @property
    def dedup_key(self) -> str:
        return f"{self.type}/{self.document_id}/{self.revision}"


class DocumentStored(DocumentEvent):
    """The original is in the store, and is what was promised: it can be read."""

    TYPE: ClassVar[str] = "document.stored"


class DocumentLarge(DocumentEvent):
    """The original is not quick to read, and waits until all that is quick was read."""

    TYPE: ClassVar[str] = "document.large"


class DocumentScanned(DocumentEvent):
    """The text on scanned pages is to be recognised, in slices; published once for each slice, with how many scans are `done`."""

    TYPE: ClassVar[str] = "document.scanned"

    done: int = Field(strict=True, ge=0)

    @property
    def dedup_key(self) -> str:
        return f"{super().dedup_key}/{self.done}"


class DocumentExtracted(DocumentEvent):
    """The document's text is there, and is found: it can be classified."""

    TYPE: ClassVar[str] = "document.extracted"


class DocumentReady(DocumentEvent):
    """The document is classified: nothing more is done unless its owner asks."""

    TYPE: ClassVar[str] = "document.ready"
    HANDLED: ClassVar[bool] = False


class DocumentPurged(Event):
    """A document was removed for good; what the object store has of it, under these keys, is to be removed, too."""

    TYPE: ClassVar[str] = "document.purged"

    owner_id: Owner
    document_id: UUID
    object_keys: list[str]

    @property
    def subject(self) -> str:
        return str(self.document_id)


class JobDue(Event):
    """A job is to go on with its next slice; published once for each slice, `slices` being how many came before."""

    TYPE: ClassVar[str] = "job.due"

    owner_id: Owner
    job_id: UUID
    slices: int = Field(strict=True, ge=0)

    @property
    def subject(self) -> str:
        return str(self.job_id)

    @property
    def dedup_key(self) -> str:
        return f"{self.type}/{self.job_id}/{self.slices}"


class ClassificationDue(Event):
    """The owner has a free place, and a document that an AI provider is to read; which one is decided when the event is handled."""

    TYPE: ClassVar[str] = "classification.due"

    owner_id: UUID

    @property
    def subject(self) -> str:
        return str(self.owner_id)


class EmailRequested(Event):
    """A mail waits to be sent; its content is sealed in `mails`."""

    TYPE: ClassVar[str] = "email.requested"

    mail_id: UUID

    @property
    def subject(self) -> str:
        return str(self.mail_id)


class AccountDeleted(Event):
    """The owner's account was ended: all that it holds is to be erased."""

    TYPE: ClassVar[str] = "account.deleted"

    owner_id: UUID = Field(serialization_alias="user_id")

    @property
    def subject(self) -> str:
        return str(self.owner_id)


class MoveRequested(Event):
    """A document's original is to live elsewhere; where, its row in `document_moves` says."""

    TYPE: ClassVar[str] = "document.move"

    owner_id: Owner
    document_id: UUID
    move_id: UUID

    @property
    def subject(self) -> str:
        return str(self.document_id)

    @property
    def dedup_key(self) -> str:
        return f"{self.type}/{self.move_id}"


class CloudFileChosen(Event):
    """A file in a cloud is to become the document whose row waits for its bytes."""

    TYPE: ClassVar[str] = "cloud.file"

    owner_id: Owner
    document_id: UUID

    @property
    def subject(self) -> str:
        return str(self.document_id)

    @property
    def dedup_key(self) -> str:
        return f"{self.type}/{self.document_id}"


class LookDue(Event):
    """A watched folder of a cloud is to be looked into; `looks` is how many looks came before, `announced` how often one was announced."""

    TYPE: ClassVar[str] = "cloud.look"

    owner_id: Owner
    folder_id: UUID
    looks: int = Field(strict=True, ge=0)
    announced: int = Field(strict=True, ge=0)

    @property
    def subject(self) -> str:
        return str(self.folder_id)

    @property
    def dedup_key(self) -> str:
        return f"{self.type}/{self.folder_id}/{self.announced}"


class ExportRequested(Event):
    """A copy of a document is to be made in a cloud; where, its row in `cloud_exports` says."""

    TYPE: ClassVar[str] = "cloud.export"

    owner_id: Owner
    export_id: UUID

    @property
    def subject(self) -> str:
        return str(self.export_id)

    @property
    def dedup_key(self) -> str:
        return f"{self.type}/{self.export_id}"


class BucketNotification(Event):
    """The object store says that something happened to an object. Fields that are None were not told; `owner_id` is the key's account.

    `key` is the object's, `size` is in bytes, `event_name` (`s3:ObjectCreated:Put`) is the event's type.
    """

    TYPE: ClassVar[str] = "s3:*"

    event_name: str
    bucket: str
    key: str
    size: int | None = None
    etag: str | None = None
    content_type: str | None = None
    sequencer: str | None = None
    event_time: str | None = None

    @property
    def type(self) -> str:
        return self.event_name

    @property
    def subject(self) -> str:
        return self.key

    @property
    def dedup_key(self) -> str:
        """Equal for the same notification received twice."""
        return f"{self.bucket}/{self.key}/{self.sequencer or f'{self.event_time}/{self.etag}'}"


class Tick(Event):
    """The time at which the schedule `name` is due; after an outage the last one that was missed."""

    TYPE: ClassVar[str] = "schedule.*"

    owner_id: NoOwner = None
    name: str = Field(exclude=True)
    tick: AwareDatetime

    @property
    def type(self) -> str:
        return f"schedule.{self.name}"

    @property
    def subject(self) -> str:
        return self.name

    @property
    def dedup_key(self) -> str:
        return f"{self.name}@{self.data()['tick']}"

    @classmethod
    def received(cls, *, owner_id: UUID | None, subject: str, data: Mapping[str, Any]) -> Self:
        return super().received(owner_id=owner_id, subject=subject, data={**data, "name": subject})
