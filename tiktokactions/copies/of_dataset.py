"""The near-duplicates within a dataset: which video is a copy of which better one."""

from __future__ import annotations

from tiktokactions.copies.duplicates import HashedVideos, find_duplicates
from tiktokactions.curation.decide import refusals
from tiktokactions.curation.options import CurateOptions
from tiktokactions.files import Place, all_records
from tiktokactions.records import VideoRecord


def duplicate_of(record: VideoRecord) -> str | None:
    """The better copy that a record was found to be a near-duplicate of."""
    return next((r.partition(":")[2] for r in record.reasons if r.startswith("duplicate_of:")), None)


def duplicates_of(dataset: Place, options: CurateOptions) -> dict[str, str]:
    """Video id -> id of the better copy, over all videos that are usable and long enough on their own."""
    hashed = HashedVideos(options.samples)
    worth: list[tuple[float, ...]] = []
    for record in all_records(dataset):
        scene = record.scene
        if record.failure is None and scene is not None and not refusals(record, options):
            hashes = [sample.phash for sample in record.samples]
            mirrored = [sample.phash_mirrored for sample in record.samples]
            hashed.add(record.video_id, hashes, mirrored, scene.duration_s)
            worth.append(_worth(record))
    return find_duplicates(hashed, worth)


def _worth(record: VideoRecord) -> tuple[float, ...]:
    """What makes one copy better than another: pixels of picture (without borders), then bytes per second, then length."""
    assert record.probe is not None and record.quality is not None
    left, top, right, bottom = record.quality.borders
    pixels = record.probe.width * record.probe.height * (1 - left - right) * (1 - top - bottom)
    # A border's edge is found to a few pixels: copies of one size must not be ranked by that.
    return (round(pixels, -3), record.source.size_bytes / record.probe.duration_s, record.probe.duration_s)
