"""rclone's tests of a backend (fstest/fstests/fstests.go), and which test of the contract is the same; each of our five backends has it.

What is tested there and is nothing that a backend does here has its reason instead.
"""

import pytest

from tests.storage import test_google_drive, test_object_store, test_onedrive, test_webdav
from tests.storage.contract import CloudContract, StorageContract

ON_EVERY_BACKEND: dict[str, tuple[str, ...]] = {
    "FsRoot": ("test_folders_are_listed_as_such",),
    "FsListEmpty": ("test_a_folder_whose_last_object_is_gone_lists_nothing",),
    "FsListDirEmpty": ("test_a_folder_whose_last_object_is_gone_lists_nothing",),
    "FsListDirNotFound": ("test_nothing_is_found_in_a_folder_that_is_not_there",),
    "FsEncoding": ("test_every_name_that_people_give_is_stored_and_listed", "test_folders_may_have_every_name_that_objects_have"),
    "FsNewObjectNotFound": ("test_what_is_not_there_is_missing_everywhere", "test_nothing_is_found_in_a_folder_that_is_not_there"),
    "FsPutError": (
        "test_a_stream_that_breaks_leaves_nothing",
        "test_a_stream_that_breaks_leaves_what_was_there",
        "test_a_source_of_another_size_than_announced_is_not_stored",
        "test_who_is_cancelled_leaves_nothing",
    ),
    "FsPutZeroLength": ("test_an_object_of_no_bytes_is_one",),
    "FsChangeNotify": ("test_what_changed_since_is_known_or_may_be",),
    "FsPutFiles": ("test_what_was_put_is_what_is_read", "test_put_replaces_what_was_there"),
    "FsListDirFile2": ("test_folders_are_listed_as_such",),
    "FsListDirRoot": ("test_folders_are_listed_as_such",),
    "FsListSubdir": ("test_folders_are_listed_as_such",),
    "FsListFile1": ("test_every_name_that_people_give_is_stored_and_listed",),
    "FsListFile1and2": ("test_every_name_that_people_give_is_stored_and_listed",),
    "FsNewObject": ("test_stat_tells_size_type_and_etag",),
    "FsNewObjectDir": ("test_a_folder_is_no_object",),
    "ObjectHashes": ("test_a_download_tells_size_and_hash",),
    "ObjectModTime": ("test_every_name_that_people_give_is_stored_and_listed",),
    "ObjectMimeType": ("test_stat_tells_size_type_and_etag",),
    "ObjectSize": ("test_stat_tells_size_type_and_etag",),
    "ObjectOpen": ("test_what_was_put_is_what_is_read",),
    "ObjectOpenSeek": ("test_a_range_is_streamed",),
    "ObjectOpenRange": ("test_a_range_is_streamed",),
    "ObjectPartialRead": ("test_a_download_that_nobody_reads_to_its_end_stops_nothing", "test_reading_stops_at_the_limit"),
    "ObjectUpdate": ("test_what_is_replaced_may_be_longer_shorter_or_of_a_length_nobody_knew", "test_what_changes_has_another_etag"),
    "FsIsFile": ("test_a_file_has_no_entries",),
    "FsIsFileNotFound": ("test_what_is_not_there_is_missing_everywhere",),
    "FromRoot": ("test_folders_are_listed_as_such",),
    "ObjectRemove": ("test_a_deleted_object_is_gone_and_deleting_again_is_fine",),
    "FsPutStream": ("test_a_short_stream_is_stored", "test_an_object_of_no_bytes_is_one"),
    "FsPutChunked": ("test_sizes_around_a_chunk_are_stored", "test_a_long_stream_is_stored"),
    "FsUploadUnknownSize": (
        "test_a_short_stream_is_stored",
        "test_what_is_replaced_may_be_longer_shorter_or_of_a_length_nobody_knew",
    ),
    "FsRootCollapse": ("test_nothing_is_found_in_a_folder_that_is_not_there",),
    "FsShutdown": ("test_closing_twice_is_fine",),
}

ON_EVERY_CLOUD: dict[str, tuple[str, ...]] = {
    "FsEncoding: control characters, dots, invalid UTF-8": ("test_a_name_that_leads_elsewhere_or_nowhere_is_refused",),
    "FsRmdirFull": ("test_a_folder_is_never_deleted_nor_replaced",),
}
"""What the bucket has no part in: its keys are ours, and it has no folders."""

NOTHING_A_BACKEND_DOES_HERE = {
    "FsCheckWrap, ObjectCheckWrap": "no backend wraps another",
    "FsCommand": "there are no commands of one backend alone",
    "FsString, FsName, ObjectString, ObjectFs, ObjectRemote, ObjectStorable": "of rclone's own objects",
    "FsRmdirNotFound, FsRmdirEmpty, FsMkdir, FsMkdirRmdirSubdir": "folders come with the first file in them, and are never removed",
    "FsPurge, FsPurgeRoot": "nothing here removes a folder with what is in it",
    "FsOpenWriterAt, FsOpenChunkWriter": "an object is written from its beginning to its end",
    "FsListR, FsListRDirEmpty, FsListRDirNotFound, FsListRDirFile2, FsListRDirRoot, FsListRSubdir": "one level is listed at a time",
    "FsListLevel2, FsListRLevel2": "one level is listed at a time",
    "FsNewObjectCaseInsensitive": "a name that differs in case is the cloud's to tell apart; nothing here relies on either",
    "FsCopy, FsMove, FsDirMove": "objects move between stores, never within one",
    "FsPrecision, ObjectSetModTime, ObjectMetadata": "times and further facts of a file are read, never set",
    "PublicLink": "links lead to DocuVault, which may take them back",
    "SetTier": "there are no tiers",
    "ObjectAbout": "how much room is left is not asked; a full cloud says so (`quota_full`)",
    "Internal": "each backend's own tests are in its own module",
}

BACKENDS: dict[str, type[StorageContract]] = {
    "minio": test_object_store.TestObjectStore,
    "google_drive": test_google_drive.TestGoogleDrive,
    "onedrive": test_onedrive.TestOneDrive,
    "nextcloud": test_webdav.TestNextcloud,
    "webdav": test_webdav.TestOurServer,
    "webdav by WsgiDAV": test_webdav.TestWsgiDAV,
    "webdav by SabreDAV": test_webdav.TestSabreDAV,
    "webdav by rclone": test_webdav.TestRclone,
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_has_all_that_is_listed(backend: str) -> None:
    suite = BACKENDS[backend]
    listed = ON_EVERY_BACKEND if backend == "minio" else ON_EVERY_BACKEND | ON_EVERY_CLOUD
    expected = StorageContract if backend == "minio" else CloudContract
    for rclones, ours in listed.items():
        for name in ours:
            assert getattr(suite, name) is getattr(expected, name), f"{backend} has no {name}, or one of its own, for {rclones}"
