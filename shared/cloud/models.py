"""Connections and what is in them, as clients see them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from shared.api.models import PageQuery, RequestModel, ResponseModel, SingleLine
from shared.documents.models import Document
from shared.documents.name_keys import one_line

CloudProvider = Literal["google_drive", "onedrive", "nextcloud", "webdav"]

ConnectionName = Annotated[SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(one_line)]

CloudPath = Annotated[str, StringConstraints(max_length=4000)]


class Connection(ResponseModel):
    """A cloud of the owner's; `error` is a sentence for people while it is `broken`."""

    id: UUID
    provider: CloudProvider
    name: str
    server_url: str | None = None
    account: str | None = None
    state: Literal["ok", "broken"]
    error: str | None = None
    created_at: datetime


class NewConnection(RequestModel):
    """A WebDAV or Nextcloud account. Connecting the same account again renews its password, and repairs the connection."""

    provider: Literal["webdav", "nextcloud"]
    server_url: Annotated[SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    username: Annotated[SingleLine, StringConstraints(min_length=1, max_length=255, pattern="^[^:]+$")]
    password: Annotated[SingleLine, StringConstraints(min_length=1, max_length=1000)]
    name: ConnectionName | None = None


class ConnectionChange(RequestModel):
    """What the connection is called from now on."""

    name: ConnectionName


class CloudFile(ResponseModel):
    """A file or folder in the cloud; `path` is what import takes, `size` in bytes."""

    path: str
    name: str
    size: int | None = None
    modified_at: datetime | None = None
    is_folder: bool


class BrowseQuery(PageQuery):
    """Which folder; without `path` the top one."""

    path: CloudPath = ""


class ImportFiles(RequestModel):
    """Files and folders of the cloud, as `browse_connection` names them."""

    paths: list[CloudPath] = Field(min_length=1, max_length=100)


class Imported(ResponseModel):
    """A document for each file named; those of folders come as the folders are read."""

    documents: list[Document]


class WatchFolder(RequestModel):
    """A folder of the cloud, as `browse_connection` names it; `""` is the top one."""

    path: CloudPath


class RefusedFile(ResponseModel):
    """A file that became no document, with the code that an import of it alone would have answered."""

    path: str
    code: str


class WatchedFolder(ResponseModel):
    """A folder whose files become documents by themselves.

    `waiting` are new files that wait for a second look, because they may still be growing; `refused` the first hundred that could not be
    taken; `error` is a sentence for people while looks come to nothing.
    """

    id: UUID
    path: str
    waiting: int
    refused: list[RefusedFile]
    error: str | None = None
    looked_at: datetime | None = None
    next_look_at: datetime
    created_at: datetime


class ExportDocuments(RequestModel):
    """Documents of the caller's, and the folder in the cloud that gets the copies; it is made if it is not there."""

    document_ids: list[UUID] = Field(min_length=1, max_length=1000)
    folder: CloudPath


class SignInPage(ResponseModel):
    """Where the browser goes now."""

    authorization_url: str


class Callback(RequestModel):
    """What a provider sends the browser back with; it may say more."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    state: Annotated[str, StringConstraints(max_length=200)] = ""
    code: Annotated[str, StringConstraints(max_length=4000)] = ""
    error: Annotated[str, StringConstraints(max_length=200)] = ""
