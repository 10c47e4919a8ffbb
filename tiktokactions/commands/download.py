"""Download the videos of a collection; opt-in, says what you must be entitled to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated

from tiktokactions.collection.fetch import address_of, tool_version
from tiktokactions.collection.options import DownloadOptions
from tiktokactions.collection.store import Collection
from tiktokactions.collection.terms import ASK, TERMS
from tiktokactions.commands.curate import CurateResult, GivenVideos, Progress, curate_listed, told_detector
from tiktokactions.commands.options import AnyPath, Passing, Typed, nothing, on_disk, takes
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, dataset_lock, delete, disk_errors, located, recorded, safe_video_id
from tiktokactions.machine import Clock, utc_text
from tiktokactions.options import checked_options

if TYPE_CHECKING:
    from tiktokactions.collection.download import Arrived, Tally
    from tiktokactions.curation.listed import ListedVideo


@dataclass(frozen=True)
class DownloadResult:
    """What a run has done; ``states`` counts all videos of the collection."""

    collection: str
    downloaded: int
    picked_up: int
    permanent: int
    """Given up for good in this run."""
    retry: int
    """Failed in this run, asked for again by the next."""
    kinds: dict[str, int]
    """Failures of this run by kind."""
    bytes: int
    stopped: str
    """Why the run ended early; empty where it went through."""
    warnings: list[str] = field(default_factory=list)
    """yt-dlp's own, each once."""
    states: dict[str, int] = field(default_factory=dict)
    curated: CurateResult | None = None


@takes(DownloadOptions)
def download(
    collection: AnyPath,
    *,
    entitled: Annotated[bool, Typed("i-am-entitled")] = False,
    curate_into: Annotated[AnyPath | None, Typed("curate", "DATASET")] = None,
    delete_raw: bool = False,
    detector: str | None = None,
    progress: Callable[[Progress], None] = nothing,
    report: Passing = nothing,
    **options: object,
) -> DownloadResult:
    """Download the videos of a collection, or take them from a folder; opt-in, says what you must be entitled to.

    Args:
        collection: a folder made by 'collect run' or 'collect import'.
        entitled: say once that you may download these videos; it is kept in the collection with the date.
        curate_into: a dataset into which each video is curated as it arrives.
        delete_raw: with a dataset to curate into: a raw file goes once its record and clip are written.
        detector: with a dataset to curate into: the person detector (default: the dataset's, else auto).
        progress: as :func:`curate`, where something is curated.
        report: receives a line for every video that was downloaded or given up, where nothing is curated.
        **options: any field of :class:`tiktokactions.collection.download.DownloadOptions`; with ``curate_into`` also of
            :class:`tiktokactions.curation.options.CurateOptions`.

    Raises:
        UsageError: no collection, no entitlement, no yt-dlp, no network allowed, options that do not fit.
        DatasetBusyError: another run is writing to the collection or the dataset.
        DiskFullError: the disk is full; everything finished is kept.

    Example:
        tiktokactions download collection/ --from-folder videos/
    """
    from tiktokactions.collection.download import Tally, counts

    names = {f.name for f in fields(DownloadOptions)}
    how = checked_options(DownloadOptions, {name: value for name, value in options.items() if name in names})
    rest = {name: value for name, value in options.items() if name not in names}
    if detector is not None:
        rest["detector"] = detector
    if delete_raw and curate_into is None:
        raise UsageError("`delete_raw` needs `curate_into`: without records nothing would be left")
    if rest and curate_into is None:
        raise UsageError(f"unknown option {', '.join(sorted(rest))}; expected some of {', '.join(sorted(names))}")
    folder, tally = on_disk(collection, "collection.sqlite"), Tally()
    curated = None
    with Collection(folder) as opened, dataset_lock(folder), disk_errors(folder):
        may_fetch = _entitlement(opened, entitled, how)

        def tell() -> None:
            if curate_into is None:
                report(f"{tally.downloaded} downloaded, {tally.permanent} given up, {tally.retry} for later")

        arriving = _arriving(opened, how, tally, may_fetch, tell)
        if curate_into is None:
            for _ in arriving:
                pass
        else:
            curated = _curate_arriving(opened, arriving, located(curate_into), delete_raw, progress, rest)
        return DownloadResult(collection=str(folder), states=counts(opened), curated=curated, **asdict(tally))


def _entitlement(collection: Collection, entitled: bool, options: DownloadOptions) -> bool:
    """Whether videos may be fetched; False: only files of ``from_folder`` are taken.

    Raises:
        UsageError: they may not, and nothing else was asked for.
    """
    if entitled and collection.setting("entitled") is None:
        collection.set_setting("entitled", {"at": utc_text(Clock().now()), "said": "entitled"})
    if collection.setting("entitled") is None:
        if options.from_folder is not None:
            return False
        raise UsageError(f"{TERMS}\n\n{ASK}")
    if options.from_folder is not None and not entitled:
        return False  # a folder was named: fetching the rest has to be asked for in the same breath
    if os.environ.get("TIKTOKACTIONS_OFFLINE") == "1":
        raise UsageError("TIKTOKACTIONS_OFFLINE=1 forbids every download; `from_folder` takes files that you have")
    tool_version()
    address_of("0")
    return True


def _arriving(
    collection: Collection, options: DownloadOptions, tally: Tally, may_fetch: bool, report: Callable[[], None]
) -> Iterator[Arrived]:
    """Files that lie there already, those of ``from_folder``, then those that are downloaded."""
    from tiktokactions.collection.download import download_all, pick_up

    yield from pick_up(collection, tally, None, options.ai_labelled)
    if options.from_folder is not None:
        yield from pick_up(collection, tally, on_disk(options.from_folder, "`from_folder`"), options.ai_labelled)
    if may_fetch:
        yield from download_all(collection, options, tally, report)


def _curate_arriving(
    collection: Collection,
    arriving: Iterator[Arrived],
    dataset: Place,
    delete_raw: bool,
    progress: Callable[[Progress], None],
    options: dict[str, object],
) -> CurateResult:
    """Curate files as they come. A raw file goes when its record is on the disk; what an earlier run left is swept first."""
    from tiktokactions.collection.download import mark_curated, media_files
    from tiktokactions.commands.curate import dataset_folder, opened_or_new
    from tiktokactions.curation.from_collection import listed_video

    began = time.perf_counter()
    dataset = dataset_folder([str(collection.folder)], str(dataset), False)
    data, settings = opened_or_new(dataset, options)
    files = {arrived.video_id: arrived.path for arrived in media_files(collection)}

    def let_go(video_id: str) -> None:
        path = files.pop(video_id, None)
        if path is not None and recorded(dataset, [safe_video_id(video_id)]):
            mark_curated(collection, video_id)
            if delete_raw and path.is_relative_to(collection.folder.absolute()):
                delete(path)
                delete(path.with_suffix(".json"))

    def listed() -> Iterator[ListedVideo]:
        for video_id, path in list(files.items()):
            if path.is_file():
                yield listed_video(collection, video_id, path)
        for arrived in arriving:
            if arrived.video_id not in files:
                files[arrived.video_id] = arrived.path
                yield listed_video(collection, arrived.video_id, arrived.path)

    with data.editing("curate", settings) as edit:
        detector = told_detector(edit, progress)
        inputs, total = [str(collection.folder)], collection.count_videos()
        given = GivenVideos(listed(), total, inputs, inputs, let_go)
        result = curate_listed(given, edit, detector, progress)
        for video_id in list(files):  # known before this run, or identical to another file
            let_go(video_id)
    return replace(result, seconds=round(time.perf_counter() - began, 3))
