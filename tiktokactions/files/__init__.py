"""Files: where everything lies in a dataset folder, atomic writes, checksums, and the lock that keeps two runs apart.

A dataset folder is a local one or a prefix on an object store: :func:`located` gives the :class:`Place`, and what differs
between the two is decided in this room alone.
"""

from tiktokactions.files.changes import (
    clear_staging,
    delete,
    delete_folder,
    move_into_place,
    staging_folder,
    unfinished,
    write_atomic,
)
from tiktokactions.files.checksums import sha256_file
from tiktokactions.files.disk import disk_errors
from tiktokactions.files.layout import (
    NO_LABEL_FOLDER,
    clip_relative_path,
    label_folder,
    poster_path,
    record_path,
    safe_video_id,
    shard,
    strip_path,
)
from tiktokactions.files.locks import DatasetBusyError, dataset_lock
from tiktokactions.files.objects import ObjectPath, is_address
from tiktokactions.files.places import (
    Place,
    fingerprint,
    listing,
    local_file,
    local_path,
    located,
    read_together,
    readable,
    what_is_there,
)
from tiktokactions.files.record_files import all_records, read_record, record_files, record_paths, write_record
from tiktokactions.files.stores import StoreError
from tiktokactions.machine import cache_folder

__all__ = [
    "NO_LABEL_FOLDER",
    "DatasetBusyError",
    "ObjectPath",
    "Place",
    "StoreError",
    "all_records",
    "cache_folder",
    "clear_staging",
    "clip_relative_path",
    "dataset_lock",
    "delete",
    "delete_folder",
    "disk_errors",
    "fingerprint",
    "is_address",
    "label_folder",
    "listing",
    "local_file",
    "local_path",
    "located",
    "move_into_place",
    "poster_path",
    "read_record",
    "read_together",
    "readable",
    "record_files",
    "record_path",
    "record_paths",
    "safe_video_id",
    "sha256_file",
    "shard",
    "staging_folder",
    "strip_path",
    "unfinished",
    "what_is_there",
    "write_atomic",
    "write_record",
]
