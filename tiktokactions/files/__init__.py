"""Files: where everything lies in a dataset folder, atomic writes, checksums, and the lock that keeps two runs apart.

A dataset folder is a local one or a prefix on an object store: :func:`located` gives the :class:`Place`, and what differs
between the two is decided in this room alone.
"""

from tiktokactions.files.changes import (
    SETTLED,
    Notes,
    clear_staging,
    create,
    csv_bytes,
    delete,
    delete_empty,
    delete_folder,
    disk_errors,
    json_bytes,
    keeping,
    lies_there,
    link_or_copy,
    may_be_refused,
    move_into_place,
    noted_changes,
    place_file,
    read_json,
    relative_name,
    staging_folder,
    take_notes,
    unfinished,
    write_atomic,
    write_csv,
    write_json,
)
from tiktokactions.files.checksums import (
    SUMS,
    ChecksumsError,
    listing_lock,
    read_sums,
    sum_files,
    update_sums,
    write_listed,
    write_sums,
    wrong_sums,
)
from tiktokactions.files.layout import (
    AnyPlace,
    clip_relative_path,
    description_path,
    label_folder,
    poster_path,
    record_path,
    safe_video_id,
    shard,
    strip_path,
    thumbnail_paths,
)
from tiktokactions.files.locks import AtWork, DatasetBusyError, dataset_lock, who_is_at_work
from tiktokactions.files.objects import ObjectPath, is_address
from tiktokactions.files.places import (
    Place,
    absolute,
    file_sizes,
    fingerprint,
    holds_something,
    listing,
    local_file,
    local_path,
    located,
    on_disk,
    opened,
    read_range,
    read_together,
    readable,
    real_path,
    seen_from,
    sha256_file,
    what_is_there,
)
from tiktokactions.files.record_files import (
    all_records,
    delete_records,
    has_records,
    read_record,
    record_files,
    record_files_of,
    record_of,
    recorded,
    records_of,
    settle_records,
    write_record,
    writing_in_order,
)
from tiktokactions.files.settled import drop_version, keep_version, settled_file
from tiktokactions.files.stores import StoreError
