"""The reviewers' desk: everything that the pages and the commands of ``review`` do with a dataset, in one place.

All of it may be called from any thread of a server, and while other processes do the same with the same dataset.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.errors import UsageError
from tiktokactions.reviews import flags, gallery, golden, items, ledger, queue, store
from tiktokactions.reviews.agreement import Conflict, ReviewReport, review_report
from tiktokactions.reviews.decisions import Decision, DecisionError
from tiktokactions.reviews.folding import catch_up, fold_videos
from tiktokactions.reviews.guide import Guide, guide_of
from tiktokactions.reviews.index import Index, open_index
from tiktokactions.reviews.indexing import index_manifest
from tiktokactions.reviews.items import ReviewItem
from tiktokactions.reviews.label_search import each_once, found_at
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.reviews.pace import Progress, pace_of
from tiktokactions.reviews.queue import QueueItem
from tiktokactions.reviews.store import Store
from tiktokactions.reviews.suggestions import has_suggestions, look_alikes_of

COUNTS_LIVE_S, COUNTS_LIVE = 1.0, 20
"""Counts are reused for 20 times as long as they took, at most one second."""
REPORT_LIVES_S = 10.0


@dataclass(frozen=True)
class LabelChoice:
    """A label that can be chosen for a clip; ``videos``: how many of the dataset have it."""

    label: str
    videos: int


@dataclass
class _Remembered:
    """Numbers that may be some seconds old."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: dict[str, tuple[float, tuple[int, int, int]]] = field(default_factory=dict)
    """By queue: until when they count, and (all, left, judgements left)."""
    report: tuple[float, ReviewReport] | None = None
    labels: tuple[float, list[LabelChoice]] | None = None


@dataclass(frozen=True)
class Desk:
    """A dataset opened for review."""

    dataset: Path
    settings: CurateOptions
    """The settings that the dataset was made with: thresholds and the length of its clips."""
    options: ReviewOptions
    store: Store
    index: Index
    guide: Guide = Guide()
    _remembered: _Remembered = field(default_factory=_Remembered)

    @property
    def k(self) -> int:
        """Judgements that a video needs."""
        return store.reviewers_per_video(self.store)

    def close(self) -> None:
        self.index.close()
        self.store.close()

    def refresh(self, report: Callable[[int], None] = lambda videos: None) -> bool:
        """Read the manifest again if it has changed (after ``apply`` or ``curate``); returns whether it had."""
        changed = index_manifest(self.index, self.store, report)
        if changed:
            queue.refill_queues(self.index)
        if self.options.sample:
            of = self.options
            queue.draw_sample(self.index, self.store, of.sample, of.seed, of.stratified)
        self._remembered.counts.clear()
        return changed

    # --- judging ---------------------------------------------------------------------------------------------------

    def next_items(
        self, reviewer: str, queue_name: str | None = None, count: int = 3, exclude: Collection[str] = (), tab: str = ""
    ) -> list[QueueItem]:
        """Lease the next videos to a person; see :func:`tiktokactions.reviews.queue.next_items`."""
        name, count = queue_name or self.options.queue, max(0, min(count, 20))
        aside = self.guide.examples
        return queue.next_items(self.index, self.store, self.options, reviewer, name, count, exclude, aside, tab)

    def is_there(self, video_id: str) -> bool:
        """Whether a video is in the dataset; those that were taken down are not."""
        return self.index.database.first("SELECT 1 FROM videos WHERE video_id=?", (video_id,)) is not None

    def item(self, video_id: str) -> ReviewItem:
        """Raises :class:`tiktokactions.reviews.items.UnknownVideoError`."""
        return items.review_item(self.dataset, self.settings, video_id)

    def decide(
        self, reviewer: str, new: Decision, adjudication: bool = False, together: Collection[str] = ()
    ) -> Decision:
        """Check a decision against its video and append it. It is on the disk when this returns, and the lease ends.

        ``together``: look-alikes of the video that are judged with it. Each gets a decision of its own, with ``.1``, ``.2``
        … after the client key, and the time spent is shared among all.

        Raises:
            DecisionError: the decision makes no sense; ``UnknownVideoError`` for a video that is not in the dataset.
        """
        new = replace(new, seconds=new.seconds / (1 + len(together)))
        checked = self._checked(new)
        same = self._same_of(new, list(dict.fromkeys(together)), reviewer)
        self._taken(
            reviewer, same, origin=f"{ledger.ALIKE}{new.video_id}"
        )  # first, so that the newest is that in sight
        return self._taken(reviewer, [checked], adjudication)[0]

    def decide_many(
        self, reviewer: str, each: Sequence[Decision], label: str = "", said: str = "yes"
    ) -> dict[str, str]:
        """Append a judgement of its own for each of several videos, all at once; returns those refused, and why. With a
        ``label`` they say this of it, beside what the person had said of an accepted clip before."""
        said_before = ledger.in_force(self.store, [new.video_id for new in each])
        mine = (reviewer, "accept", False)
        before = {d.video_id: d for d in said_before if (d.reviewer, d.verdict, d.adjudication) == mine}
        refused, checked = {}, list[Decision]()
        for new in each:
            known = before.get(new.video_id)
            if label and known is not None:
                kept = {
                    name: getattr(known, name) for name in ("scene", "start_s", "end_s", "tags", "segments", "answers")
                }
                new = replace(new, **kept)
            if label:
                new = replace(new, answers=(new.answers or {}) | {label: said})
            try:
                checked.append(self._checked(new))
            except DecisionError as error:
                refused[new.video_id] = str(error)
            except ValueError:  # whose message names a path
                refused[new.video_id] = "its record cannot be read"
        self._taken(reviewer, checked, origin=ledger.BULK)
        return refused

    def undo_many(self, reviewer: str, bulk_key: str) -> list[str]:
        """Take back what :meth:`decide_many` appended; returns the videos."""
        undone = ledger.undo_bulk(self.store, reviewer, bulk_key)
        catch_up(self.index, self.store)
        return undone

    def _checked(self, new: Decision) -> Decision:
        record = items.known_record(self.dataset, new.video_id)
        checked = items.check_decision(record, self.settings, replace(new, queue=new.queue or self.options.queue))
        self.guide.check(checked)
        return checked

    def _taken(
        self, reviewer: str, checked: Sequence[Decision], adjudication: bool = False, origin: str = "web"
    ) -> list[Decision]:
        taken = [(reviewer, new, store.now_utc()) for new in checked]
        decisions = ledger.add_decisions(self.store, taken, adjudication, origin)
        again = flags.sent_back(self.store, reviewer)
        for decision in decisions:
            if decision.video_id in again and decision.verdict != "skip":
                flags.settle_flag(self.store, again[decision.video_id].id)
        catch_up(self.index, self.store)
        return decisions

    def _same_of(self, new: Decision, together: Collection[str], reviewer: str) -> list[Decision]:
        """The same said of others: of their own clips as proposed, and of no hashtag that only they have."""
        if together and (new.adjudication or new.verdict == "skip"):
            raise DecisionError("together: only judgements are given together; conflicts are settled one by one")
        offered, same = look_alikes_of(self.index, self.store, reviewer, new.video_id) if together else {}, []
        new = replace(new, scene=None, start_s=None, end_s=None, segments=())
        for n, video_id in enumerate(together, start=1):
            one = replace(new, client_key=f"{new.client_key}.{n}", video_id=video_id)
            if video_id not in offered and not ledger.has_decision(self.store, one.client_key, video_id):
                raise DecisionError(f"together: {video_id[:80]!r} is no look-alike that waits for your judgement")
            same.append(self._checked(one))
        return same

    def undo(
        self, reviewer: str, client_key: str, page_version: str = "", takes_back: str = "", tab: str = ""
    ) -> Decision | None:
        """Take back a person's decision (by its client key, else the newest), with all that was judged together with it, and
        lease its video to them again; None where nothing is left."""
        undone = ledger.undo_last(self.store, reviewer, client_key, page_version, takes_back)
        if undone is not None:
            [taken_back] = self.store.database.rows("SELECT client_key FROM decisions WHERE id=?", (undone.undoes,))
            ledger.undo_bulk(self.store, reviewer, taken_back[0], f"{ledger.ALIKE}{undone.video_id}")
        if undone is not None and not undone.repeated:
            catch_up(self.index, self.store)
            queue.lease_again(self.index, reviewer, undone.queue, undone.video_id, self.options.lease_s, tab)
        return undone

    def is_prefilled(self, queue_name: str, video_id: str) -> bool:
        """Whether a video's hashtags are marked beforehand: on request, and never where quality is measured. Where there
        are gold items none is, or they would be known by it."""
        measured = self.k > 1 or queue_name in ("sample", "conflicts") or self.has_gold_items
        return self.options.prefill and not measured and not ledger.judgements(self.store, video_id)

    @property
    def has_gold_items(self) -> bool:
        """Whether some of the videos handed out are gold items."""
        return self.options.gold_every > 0 and bool(golden.gold(self.store))

    def flag(self, reviewer: str, video_id: str, kind: str, comment: str = "") -> None:
        """Set a video aside for the owner, or send a judgement back to the person who gave it.

        Raises:
            DecisionError: an unknown video or kind.
        """
        items.known_record(self.dataset, video_id)
        flags.add_flag(self.store, reviewer, video_id, kind, comment)
        catch_up(self.index, self.store)

    def renew(self, reviewer: str, video_ids: Collection[str], tab: str = "") -> None:
        """The page is still open: what it holds stays leased."""
        queue.renew(self.index, reviewer, video_ids, self.options.lease_s, tab)

    def release(self, reviewer: str, video_ids: Collection[str] | None = None, tab: str = "") -> None:
        """Give leased videos back, all of them with None."""
        queue.release(self.index, reviewer, video_ids, tab)

    def set_gold(self, video_id: str, verdict: str | None, by: str = "owner") -> None:
        """Make a video a gold item, whose answer is known; with None it stops being one.

        Raises:
            DecisionError: an unknown video, or an answer that makes no sense.
        """
        items.known_record(self.dataset, video_id)
        if verdict is None:
            golden.remove_gold(self.store, video_id)
        else:
            golden.set_gold(self.store, video_id, verdict, by=by)
        fold_videos(self.index, self.store, [video_id])

    def queues(self, reviewer: str, is_owner: bool) -> dict[str, str]:
        """What a person may choose to judge, and its title. To reviewers the others would tell what became of the videos in
        them, or what is thought of their labels: they have the owner's choice, and what was sent back to them."""
        first = self.options.queue
        back = len(queue.listed_videos(self.store, reviewer, "sent_back"))
        found = {"review": "new videos"} if first == "review" or is_owner else {}
        found |= {"sent_back": f"sent back to you ({back})"} if back else {}
        if is_owner:
            known = {"sample": "quality sample", "suggested": "labels likely wrong"}
            sql = "SELECT 1 FROM queue WHERE queue=? LIMIT 1"
            found |= {name: title for name, title in known.items() if self.index.database.first(sql, (name,))}
            found |= {"conflicts": "conflicts"}
            found |= {"flagged": "flagged"} if flags.set_aside(self.store) else {}
        return {first: found.get(first, f"#{self.options.label}" if self.options.label else "videos")} | found

    # --- looking ---------------------------------------------------------------------------------------------------

    def progress(self, reviewer: str, queue_name: str | None = None) -> Progress:
        """How far a queue has come, and how fast a person is; counts are at most a second old."""
        name = queue_name or self.options.queue
        if name in queue.LISTED:
            waiting = len(queue.listed_videos(self.store, reviewer, name))
            return pace_of(self.store, reviewer, name, *(waiting,) * 3, queue.count_judged(self.index, reviewer))
        queue.ensure_queue(self.index, name)
        known = self._remembered.counts.get(name)
        began = time.monotonic()
        if known is None or began > known[0]:
            counts = queue.queue_counts(self.index, name, self.k, self.guide.examples)
            counted = time.monotonic()
            known = (counted + min(COUNTS_LIVE_S, COUNTS_LIVE * (counted - began)), counts)
            self._remembered.counts[name] = known
        return pace_of(self.store, reviewer, name, *known[1], queue.count_judged(self.index, reviewer))

    def status_counts(self) -> dict[str, int]:
        """Videos by status."""
        rows = self.index.database.rows("SELECT status, count(*) FROM videos GROUP BY status")
        return {row[0]: row[1] for row in rows}

    def label_choices(self, text: str = "", limit: int = 50) -> list[LabelChoice]:
        """Labels that fit a text, the best first (:func:`tiktokactions.reviews.label_search.found_at`): of the dataset, the
        largest first, then those people have given, then class names of UCF101, HMDB51 and Kinetics-400."""
        places = [(place, choice) for choice in self._labels() if (place := found_at(choice.label, text)) is not None]
        return [choice for _, choice in sorted(places, key=lambda found: found[0])][:limit]

    def _labels(self) -> list[LabelChoice]:
        known = self._remembered.labels
        if known is None or time.monotonic() - known[0] > REPORT_LIVES_S:
            videos = {count.label: count.videos for count in gallery.label_funnel(self.index)}
            everything = [*videos, *ledger.labels_given(self.store), *class_names()]
            names = self.guide.names or each_once(everything)
            known = (time.monotonic(), [LabelChoice(name, videos.get(name, 0)) for name in names])
            self._remembered.labels = known
        return known[1]

    def report(self) -> ReviewReport:
        """Agreement, speed, precision: the owner's figures, at most ten seconds old."""
        with self._remembered.lock:  # one request computes it, the others wait
            known = self._remembered.report
            if known is None or time.monotonic() - known[0] > REPORT_LIVES_S:
                known = (time.monotonic(), review_report(self.store, queue.count_leases(self.index)))
                self._remembered.report = known
        return known[1]

    def conflicts(self, limit: int = 100, after: str | None = None) -> list[Conflict]:
        """Videos over which people disagree, by id, with what each of them said."""
        rows = self.index.database.rows(
            "SELECT video_id, conflict FROM videos WHERE conflict NOTNULL AND video_id>? ORDER BY video_id LIMIT ?",
            (after or "", limit),
        )
        return [Conflict(row[0], row[1], tuple(ledger.judgements(self.store, row[0]))) for row in rows]


def open_desk(
    data: Dataset, options: ReviewOptions | None = None, report: Callable[[int], None] = lambda videos: None
) -> Desk:
    """Open a dataset for review: its decisions, and the index of its videos, which is brought up to date (``report``
    receives the number of videos read so far).

    Raises:
        ValueError: ``reviews.sqlite`` is damaged or newer than this program, or the manifest is missing.
    """
    if not data.manifest.is_file():
        raise UsageError(f"{data.folder}: no manifest.parquet there; run 'curate' to its end first")
    options, opened = options or ReviewOptions(), Store(data.folder)
    try:
        if options.reviewers_per_video is not None:
            store.set_setting(opened, "reviewers_per_video", options.reviewers_per_video)
        desk = Desk(opened.dataset, data.options, options, opened, open_index(opened.dataset, data.options))
    except BaseException:
        opened.close()
        raise
    desk.refresh(report)
    if options.suggested and not has_suggestions(desk.index):
        desk.close()
        raise UsageError(f"{data.folder}: nothing is suggested yet; run 'tiktokactions review suggest {data.folder}'")
    try:
        return replace(desk, guide=guide_of(opened, options.label_list, options.guidelines, desk.is_there))
    except UsageError:
        desk.close()
        raise


@functools.cache
def class_names() -> tuple[str, ...]:
    """Class names of the benchmarks, in plain lower-case words, each action once."""
    from tiktokactions.hashtags.principles import read_phrases
    from tiktokactions.hashtags.words import phrase_words

    phrases = [phrase for source in ("ucf101", "hmdb51", "kinetics400") for phrase in read_phrases(source)]
    return tuple(each_once(" ".join(phrase_words(phrase)) for phrase in phrases))
