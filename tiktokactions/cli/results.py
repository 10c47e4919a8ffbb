"""What a command prints when it has ended, and its exit code. One function for each command, no logic."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.cli.studies import extrapolation_lines, study_lines
from tiktokactions.errors import ATTENTION, DONE
from tiktokactions.records import WEAKER, JsonObject, to_builtins
from tiktokactions.text import aligned, printable

if TYPE_CHECKING:
    import tiktokactions as ta
    from tiktokactions.cli.parser import Typed
    from tiktokactions.collection.plan import Estimate
    from tiktokactions.collection.session import CollectionStatus, CollectResult, Imported
    from tiktokactions.commands.run import StepDone
    from tiktokactions.curation.people import DetectorStatus
    from tiktokactions.dataset.statistics import Statistics
    from tiktokactions.hashtags.select import Candidate, Selection
    from tiktokactions.model.predictions import Prediction
    from tiktokactions.model.run import Evaluation, Run
    from tiktokactions.releases.diff import Difference
    from tiktokactions.releases.export import Exported
    from tiktokactions.releases.hydrate import Hydrated
    from tiktokactions.releases.merge import Merged
    from tiktokactions.releases.release import Released
    from tiktokactions.releases.subset import Subset
    from tiktokactions.reviews.agreement import ReviewReport
    from tiktokactions.reviews.answers import TasksImported
    from tiktokactions.reviews.suggestions import Suggested
    from tiktokactions.splits.report import SplitReport
    from tiktokactions.study.extrapolation import Extrapolation
    from tiktokactions.study.plan import Needs
    from tiktokactions.verdicts.verify import Verification


SHOWN = "shown"


@dataclass
class Told:
    """What is said of a result: lines on standard output (or JSON), lines on standard error, the exit code."""

    lines: Sequence[str]
    attention: Sequence[str] = ()
    needs_attention: bool = False
    """Whether the exit code says so; it does if there are lines of ``attention``."""
    json: object = None
    """None: the result; :data:`SHOWN`: what was printed as it came."""

    @property
    def exit_code(self) -> int:
        return ATTENTION if self.attention or self.needs_attention else DONE


def told_of(name: str, result: object, typed: Typed) -> Told:
    """What is said of the result of the command with this name, called with what was typed."""
    told: Told = globals()[name](result, typed)  # the functions below bear the names of the commands
    if told.json is None:
        told.json = to_builtins(result)
    return told


# --- hashtags and collections ---------------------------------------------------------------------------------------


def hashtags_propose(found: list[Candidate], typed: Typed) -> Told:
    return Told([f"{len(found)} candidates: {typed.get('output', 'candidates.csv')}"])


def hashtags_select(found: Selection, typed: Typed) -> Told:
    lines = [f"{count:6d}  {name}" for name, count in found.steps]
    if found.estimated:
        guessed = [d for d in found.decisions if d.estimate is not None]
        bounds = sum(d.views_are.endswith("lower bound") for d in guessed)
        lines += [
            f"views of {len(guessed)} candidates are estimates {found.estimated};",
            f"  {bounds} of them are lower bounds because the sample did not reach all videos of the period;",
            "  the threshold was applied to what was estimated: choose --min-views on that scale",
        ]
    if unknown := sum(decision.views is None for decision in found.kept):
        why = "between their variants a rule decided, no threshold was applied"
        lines.append(f"{unknown} kept with unknown views: {why}")
    if found.drawn:
        lines.append(
            f"{found.drawn} of them were drawn (seed {found.seed}), as many of each category as far as possible"
        )
    return Told([*lines, str(Path(typed.get("output", "."), "hashtags.csv"))])


def collect_run(result: CollectResult, typed: Typed) -> Told:
    status = result.status
    complete = status.is_complete and not result.stopped
    held = f"{status.videos} videos of {len(status.hashtags)} hashtags"
    lines = [f"{status.collection}: {held}, {result.requests} requests"]
    if short := sum(tag.found < (tag.wanted or 0) for tag in status.hashtags):
        see = f"tiktokactions collect status {typed['output']}"
        lines.append(f"{short} hashtags have fewer than wanted; see: {see}")
    if result.stopped:
        lines.append(f"stopped: {result.stopped}")
    elif not status.is_complete:
        lines.append("some days could not be read; the same command asks for them again")
    return Told(lines, needs_attention=not complete, json=to_builtins(result) | {"complete": complete})


def collect_plan(found: Estimate, typed: Typed) -> Told:
    period = f"from {found.start} to {found.end}"
    if found.per_hashtag is None:
        lines = [f"every video of {found.hashtags} hashtags {period}, {found.windows} windows of each"]
        least = (
            f"at least {found.requests_at_best} requests, {found.days_at_best:g} days at {found.requests_a_day} a day"
        )
        return Told([*lines, f"{least}; one more for every 100 videos of a window beyond the first"])
    lines = [
        f"{found.hashtags} hashtags × {found.per_hashtag} videos {period}",
        f"{found.windows} windows of a hashtag, about {found.rows_per_window} videos from each",
        f"at best {found.requests_at_best} requests, {found.days_at_best:g} days at {found.requests_a_day} a day",
        f"likely {found.requests_likely} requests, {found.days_likely:g} days (small windows, hidden rows, some retries)",
        f"{found.records} records",
    ]
    return Told(lines)


def collect_status(status: CollectionStatus, typed: Typed) -> Told:
    rows = [
        [
            f"#{t.hashtag}",
            str(t.found),
            "all" if t.wanted is None else str(t.wanted),
            "?" if t.in_period is None else str(t.in_period),
            t.state,
            t.shortfall,
        ]
        for t in status.hashtags
    ]
    head = ["hashtag", "found", "wanted", "in the period", "state", "why fewer"]
    lines = [
        *(aligned([head, *rows], (0, 5), rule=True) if rows else []),
        *([f"design: {status.design}"] if status.design else []),
        f"{status.videos} videos, {status.rejected} answers rejected, {status.removed} removed",
        f"{status.ai_labelled} videos bear the platform's label for AI-generated content",
        f"{status.requests} requests sent, about {status.requests_left} left ({status.days_left:g} days)",
    ]
    if status.refresh_due:
        lines.append(f"refresh due on {status.refresh_due}" + (": overdue" if status.overdue else ""))
    return Told(lines, needs_attention=status.overdue or not status.is_complete)


def collect_import(found: Imported, typed: Typed) -> Told:
    lines = [f"{found.rows} rows, {found.new} new videos, {len(found.rejected)} rejected"]
    if found.tools:
        lines.append("read as: " + ", ".join(f"{tool} ({rows})" for tool, rows in found.tools.items()))
    if found.columns:
        lines.append("columns: " + ", ".join(f"{place} → {name}" for place, name in found.columns.items()))
    if found.not_understood:
        lines.append("not understood: " + ", ".join(found.not_understood))
    lines += [f"does not fit: {told}" for told in found.misfits]
    if found.unknown:
        lines.append("no row says: " + ", ".join(found.unknown))
    return Told([printable(line) for line in lines], found.rejected)


def collect_export(count: int, typed: Typed) -> Told:
    return Told([f"{count} videos: {typed['output']}"], json={"videos": count, "file": typed["output"]})


def refresh(result: ta.RefreshResult, typed: Typed) -> Told:
    gone = len(result.gone)
    lines = [f"{result.target}: {gone} videos removed"]
    if result.requests or result.checked:
        lines = [f"{result.target}: {result.checked} ids checked, {gone} gone, {result.requests} requests"]
    if result.unchecked:
        lines.append(f"{result.unchecked} videos have no id of the platform and were not checked")
    for found in result.removed:
        counts = ", ".join(f"{name} {count}" for name, count in found.artefacts.items() if count)
        lines += [f"  {found.folder}: {found.videos} videos ({counts})", f"    {found.report}"]
    if result.before:
        lines.append(f"removed before: {' '.join(result.before[:20])}" + (" ..." if len(result.before) > 20 else ""))
    if result.stopped:
        lines.append(f"stopped: {result.stopped}")
    if result.next_due:
        lines.append(f"next refresh due on {result.next_due}")
    looked = "ids, names of files, source paths and what was made of it were looked at"
    unknown = f"nothing is held of {' '.join(result.unknown[:20])} ({looked}); these ids are kept out from now on"
    attention = [*([unknown] if result.unknown else []), *result.attention]
    return Told(lines, attention, needs_attention=bool(result.stopped))


def takedown(result: ta.TakedownResult, typed: Typed) -> Told:
    from tiktokactions.commands.takedown import lines_of

    lines = lines_of(result)
    for done in result.removed:
        lines += refresh(done, typed).lines
    lines += [f"answer: {result.letter}", f"report: {result.report}"] if result.is_done else []
    return Told(lines, result.attention, needs_attention=not result.is_done)


def download(result: ta.DownloadResult, typed: Typed) -> Told:
    how = f"({result.bytes / 1e6:,.1f} MB), {result.picked_up} picked up"
    rest = f"{result.permanent} given up, {result.retry} for later"
    lines = [f"{result.collection}: {result.downloaded} downloaded {how}, {rest}"]
    lines += [f"  {kind:12} {count:>7}" for kind, count in sorted(result.kinds.items(), key=lambda item: -item[1])]
    lines += [printable(f"yt-dlp warns: {text}") for text in result.warnings]
    lines.append("all videos: " + ", ".join(f"{count} {state}" for state, count in result.states.items()))
    if (made := result.curated) is not None:
        counts = f"{made.accepted} accepted, {made.needs_review} to review, {made.rejected} rejected"
        lines.append(f"{made.dataset}: {counts}")
    stopped = [f"stopped: {result.stopped}"] if result.stopped else []
    uncut = result.curated is not None and bool(result.curated.uncut)
    return Told(lines, stopped, needs_attention=bool(result.retry) or uncut)


# --- datasets -------------------------------------------------------------------------------------------------------


def curate(made: ta.Dataset, typed: Typed) -> Told:
    result = made.last_run
    twins = f", {result.identical} identical to another file" if result.identical else ""
    earlier = f", {result.finished_before} finished before" if result.finished_before else ""
    again = f", {result.cut_again} clips cut again" if result.cut_again else ""
    if result.waits_for:
        lines = [
            f"shard {result.shard}: {result.curated} curated in {result.seconds:.1f} s{twins}{earlier}",
            f"not settled yet: waiting for shard {', '.join(result.waits_for)}",
        ]
        return Told(lines, json=to_builtins(result))
    lines = [
        f"{result.videos} videos in {result.dataset} (people seen by {result.detector})",
        *status_lines(result),
        f"{result.curated} curated in {result.seconds:.1f} s{twins}{earlier}{again}",
    ]
    if result.detector in WEAKER:
        lines.append(f"{result.detector} is {WEAKER[result.detector]}")
    if result.removed:
        lines.append(f"{result.removed} files skipped: their videos were removed from this dataset (removed.csv)")
    if result.kept:
        lines.append(
            f"{result.kept} clips of rejected videos stay: their sources are absent, so they could not be cut again"
        )
    if result.restore:
        why = "videos whose files hold others now went to quarantine"
        lines.append(f"{why}; to bring them back: {result.restore}")
    attention = by_video(result.uncut)
    if result.outdated:
        what_to_do = "give their videos to bring them up to date"
        attention.append(f"{result.outdated} records were made with other settings; {what_to_do}")
    return Told(lines, attention, json=to_builtins(result))


def review_apply(applied: ta.ReviewApplied, typed: Typed) -> Told:
    lines = [
        f"{applied.changed} of {applied.verdicts} verdicts new, in {applied.dataset}, by {applied.method}",
        *status_lines(applied),
        f"{applied.cut} clips cut, {applied.removed} of rejected videos removed, {applied.conflicts} conflicts open",
    ]
    return Told(lines, by_video(applied.problems))


def by_video(problems: Mapping[str, str]) -> list[str]:
    return [f"{video_id}: {problem}" for video_id, problem in sorted(problems.items())]


def status_lines(result: ta.CurateResult | ta.ReviewApplied) -> list[str]:
    counts = {"accepted": result.accepted, "needs review": result.needs_review, "rejected": result.rejected}
    return [f"  {status:13} {count:>7}" for status, count in counts.items()]


def review_status(report: ReviewReport, typed: Typed) -> Told:
    open_ones = f"{report.conflicts} conflicts open ({report.k} judgements a video)"
    lines = [f"{report.videos_judged} videos judged, {report.videos_decided} decided, {open_ones}"]
    lines += [f"{report.flagged} flagged, set aside until the owner has looked"] if report.flagged else []
    for person in report.reviewers:
        pace = "" if person.seconds_per_video is None else f", {person.seconds_per_video:.1f} s a video"
        right = f", gold {person.gold_right} of {person.gold_answered}" if person.gold_answered else ""
        how = f"{person.accepted} accepted, {person.rejected} rejected, {person.unsure} unsure"
        lines.append(f"  {person.name}: {person.judged} judged ({how}){pace}{right}")
    for name, alpha in (("accept or reject", report.alpha_verdict), ("labels", report.alpha_labels)):
        if alpha is not None:
            lines.append(f"Krippendorff's alpha, {name}: {alpha:.3f}")
    for pair in report.pairs:
        kappa = "undefined" if pair.kappa is None else f"{pair.kappa:.3f}"
        lines.append(f"  {pair.a} and {pair.b}: {pair.agreed} of {pair.videos} alike, Cohen's kappa {kappa}")
    if report.sample:
        said = report.precision_all.judged if report.precision_all else 0
        how = "drawn at random (--json names them); what else was judged, in any order, does not count"
        lines.append(f"precision, from {said} of the {len(report.sample)} clips {how}:")
    for label in report.precision:
        share = f"{label.precision:.1%} ({label.low:.1%} to {label.high:.1%})" if label.judged else "unknown"
        counts = f"{label.right} of {label.judged} right, {label.waiting} waiting"
        lines.append(f"  {label.label}: {share}, {counts}")
    return Told(lines)


def review_suggest(found: Suggested, typed: Typed) -> Told:
    what = f", {found.likely_wrong:,} likely wrong" if found.by == "errors" else ""
    left_out = {"settled by people": found.settled, "without a feature": found.without_features}
    rest = "".join(f"; {number:,} {why} are left out" for why, number in left_out.items() if number)
    lines = [f"{found.clips:,} clips in order of {found.by}{what}{rest}"]
    small = ", ".join(f"{label} ({groups})" for label, groups in found.too_small.items())
    told = [f"too small to judge, with the groups of clips that have them: {small}"] if small else []
    if not found.clips:
        return Told(lines, told or ["there is nothing to judge: people have settled all, or nothing has a label"])
    rows = [("score", "video", "labels", "doubtful", "instead")]
    for s in found.suspects[: typed.get("top", 20)]:
        mark = "!" if s.likely_wrong else ""
        rows.append((f"{s.score:.3f}", s.video_id, ", ".join(s.labels), f"{s.label}{mark}", s.instead))
    lines += [*aligned(rows, left=range(1, 5)), *told]
    lines += [f"{found.look_alikes:,} clips have look-alikes: key e on the page"] if found.look_alikes else []
    return Told([*lines, f"judge them in this order: tiktokactions review {found.dataset} --suggested"])


def review_invite(invitation: ta.Invitation, typed: Typed) -> Told:
    who = f"{invitation.reviewer} ({invitation.role})"
    return Told([f"{who} judges with this token, which is shown only once:", invitation.token])


def review_export(written: int, typed: Typed) -> Told:
    what, file = "decisions" if typed.get("decisions") else "tasks", typed["output"]
    return Told([f"{written} {what} in {file}"], json={"file": file, what: written})


def review_import(imported: TasksImported, typed: Typed) -> Told:
    line = f"{imported.added} answers taken in, {imported.known} known before, {len(imported.refused)} refused"
    return Told([line], attention=imported.refused)


def dataset_stats(stats: Statistics, typed: Typed) -> Told:
    from tiktokactions.dataset.statistics_text import statistics_table

    folder = typed["dataset"].rstrip("/")
    return Told([statistics_table(stats), f"\nNumbers: {folder}/stats.json\nFigures: {folder}/figures"])


def dataset_verify(found: Verification, typed: Typed) -> Told:
    lines = [f"{p.kind}: {p.path}: {p.detail}" + (f" -> {p.repaired}" if p.repaired else "") for p in found.problems]
    counts = f"{len(found.problems)} problems, {len(found.open_problems)} left"
    lines.append(f"{found.records} records and {found.clips} clips checked, {counts}")
    lines += [f"of the last settled version: {found.going_on}"] if found.going_on else []
    lines += [f"{found.restored} files brought back"] if found.restored else []
    lines += [f"Bring back what was moved to quarantine: {found.restore}"] if found.restore else []
    return Told(lines, needs_attention=bool(found.open_problems))


def dataset_card(path: Path, typed: Typed) -> Told:
    return Told([str(path)], json={"card": str(path)})


def dataset_split(report: SplitReport, typed: Typed) -> Told:
    from tiktokactions.splits.certificate import certificate_text
    from tiktokactions.splits.foreign import check_text
    from tiktokactions.splits.report import report_text

    check, json = report.check_against, to_builtins(report)
    if check is None:
        del json["check_against"]
    sides = f"\nSides: {typed['dataset'].rstrip('/')}/splits"
    certificate = report.certificate
    lines = [report_text(report), *([certificate_text(certificate)] if certificate else [])]
    lines += [*([check_text(check)] if check else []), sides]
    attention = bool(
        report.bridging
        or report.missed
        or report.missing_labels
        or (certificate and certificate.left)
        or (check and (check.pairs or check.unread))
    )
    return Told(lines, needs_attention=attention, json=json)


def dataset_export(done: Exported, typed: Typed) -> Told:
    sides = ", ".join(f"{side} {count:,}" for side, count in done.sides.items())
    line = f"{done.output}: {done.clips:,} clips ({sides}) in {done.files:,} files, {done.bytes / 1e6:,.1f} MB"
    return Told([line], done.notes)


def release(done: Released, typed: Typed) -> Told:
    sides = ", ".join(f"{side} {count:,}" for side, count in done.sides.items())
    lines = [f"{done.release}: {done.clips:,} clips ({sides}), {done.files:,} files; compare: sha256sum -c SHA256SUMS"]
    lines += [] if done.certificate else ["no leak certificate: there is no split, or one that has none"]
    lines += [f"on the hub: {done.pushed}"] if done.pushed else []
    return Told(lines, done.notes)


def dataset_subset(done: Subset, typed: Typed) -> Told:
    lines = [f"{done.subset}: {done.clips:,} of {done.candidates:,} clips of {done.of}, by {done.by}"]
    lines += [f"  {label or '(no label)':24} {count:>8,}" for label, count in list(done.labels.items())[:10]]
    if len(done.labels) > 10:
        lines.append(f"  and {len(done.labels) - 10:,} more labels")
    return Told(lines, done.notes)


def dataset_hydrate(done: Hydrated, typed: Typed) -> Told:
    counts = f"{done.curated_anew:,} curated anew, {done.finished_before:,} finished before, {done.missing:,} missing"
    lines = [f"{done.dataset}: {done.rebuilt:,} of {done.listed:,} videos rebuilt, {counts}"]
    if done.missing:
        lines.append(f"what is missing, and why: {done.dataset}/missing.csv")
    return Told(lines, needs_attention=bool(done.missing))


def dataset_merge(merged: Merged, typed: Typed) -> Told:
    twins = f"{merged.shared:,} were in more than one, {merged.duplicates:,} are near-duplicates of others now"
    lines = [f"{merged.videos:,} videos, {merged.accepted:,} accepted; {twins}"]
    if (reviews := merged.reviews).decisions:
        rest = f"{reviews.in_both:,} were in more than one, {reviews.left_out:,} left out with their videos"
        anew = f"where people judged one video in several, 'tiktokactions review apply {merged.dataset}' draws it anew"
        carried = f"{reviews.decisions:,} decisions of {reviews.reviewers:,} people carried over ({rest})"
        lines.append(f"{carried}, {reviews.verdicts:,} verdicts in force; {anew}")
    if merged.taken_down:
        lines.append(f"{merged.taken_down:,} videos left out: taken down in one of them")
    if merged.off_sides:
        lines.append(
            f"{len(merged.off_sides):,} videos lost their side: relatives stand on another in an earlier dataset"
        )
    if merged.renamed:
        told = "different videos that claimed one id were kept, the later under a new one"
        lines.append(f"{len(merged.renamed):,} {told}: {', '.join(merged.renamed[:5])}")
    return Told([*lines, f"\nDataset: {merged.dataset}"], needs_attention=bool(merged.off_sides))


def dataset_diff(found: Difference, typed: Typed) -> Told:
    from tiktokactions.releases.diff import difference_text

    return Told([difference_text(found)], needs_attention=bool(found.crossed))


# --- models ---------------------------------------------------------------------------------------------------------


def pretrain(run: Run, typed: Typed) -> Told:
    result = run.as_json()
    if "finished" not in result:  # a dry run
        numbers = {name: f"{n:,}" if isinstance(n, int) else f"{n:.4g}" for name, n in result.items()}
        return Told([f"{name.replace('_', ' '):20} {number}" for name, number in numbers.items()], json=result)
    state = "finished" if result["finished"] else "stopped, the same command goes on"
    lines = [f"{result['run']}: {state}, {result['steps']:,} steps, loss {result['loss']:.4f}"]
    return Told([*lines, *warned({} if "warning" in result.get("test", {}) else result)], json=result)


def finetune(run: Run, typed: Typed) -> Told:
    result, lines = run.as_json(), [*pretrain(run, typed).lines]
    if "cross_validated_top1" in result:
        lines.append(f"cross-validated top-1 on the train side: {result['cross_validated_top1']:.1%}")
    if "test" in result:
        lines += evaluation_lines(result["test"])
        return Told(lines, needs_attention=is_incomplete(result["test"]), json=result)
    if result.get("finished"):
        why = "the data have no test side, and no --test was given"
        lines.append(f"not tested: {why}; 'evaluate' tests it on other data")
    return Told(lines, json=result)


def evaluate(result: Evaluation, typed: Typed) -> Told:
    told, lines = to_builtins(result), list[str]()
    if result.compared is not None:
        lines.append(f"  against {result.against}: {result.compared.told}")
    if result.survivors is not None:
        lines += [f"  {line}" for line in result.survivors.told]
    nothing = result.against is not None and result.compared is None
    attention = [f"against {result.against}: no video was answered by both, so nothing is compared"] * nothing
    return Told([*evaluation_lines(told), *lines], attention, is_incomplete(told))


def is_incomplete(evaluation: JsonObject) -> bool:
    """Whether videos could not be read, and nobody had said that they may be left out."""
    return bool(evaluation["unreadable"]) and not evaluation["skip_unreadable"]


def evaluation_lines(result: JsonObject) -> list[str]:
    from tiktokactions.study.tables import FEW_CLASSES

    lost = bool(result["unreadable"])
    told = [result["mean_average_precision"]] if result.get("mean_average_precision") is not None else []
    interval = f"95 % interval {result['top1_low']:.1%} to {result['top1_high']:.1%}"
    return [
        f"{result['data']}: {result['videos']:,} videos, {result['classes']} classes, {result['views']} views each",
        f"  top-1               {result['top1']:.2%}  ({interval})",
        *([f"  top-5               {result['top5']:.2%}"] if result["classes"] >= FEW_CLASSES else []),
        f"  mean class accuracy {result['mean_class_accuracy']:.2%}",
        *(f"  mAP                 {precision:.2%}" for precision in told),
        *([f"  {result['unreadable']:,} more cannot be read: see 'reason' in predictions.parquet"] * lost),
        f"  predictions, table and confusion matrix: {result['folder']}",
        *warned(result),
    ]


def warned(result: JsonObject) -> list[str]:
    """What there is to say where a model has not learned."""
    return [f"warning: {result['warning']}"] if result.get("warning") else []


def predict(result: list[Prediction] | ta.FeaturesWritten, typed: Typed) -> Told:
    if isinstance(result, list):  # each was shown when it was made
        return Told([], unread({p.path: p.reason for p in result if p.reason is not None}, typed), json=SHOWN)
    lines = [f"{result.features}: {result.videos} videos, {result.length} numbers each"]
    return Told(lines, unread(result.unreadable, typed))


def unread(reasons: Mapping[str, str], typed: Typed) -> list[str]:
    """The videos that could not be read; nothing to attend to where the caller had said that they may be left out."""
    lines = by_video(reasons)
    if not typed.get("skip_unreadable"):
        return lines
    for line in lines:
        print(f"left out: {line}", file=sys.stderr)
    return []


def export(path: Path, typed: Typed) -> Told:
    return Told([str(path)], json={"output": str(path)})


# --- studies, reports, the machine ----------------------------------------------------------------------------------


def study(result: ta.StudyResult | ta.StudyPlan, typed: Typed) -> Told:
    attention = bool(getattr(result, "failed", {}) or getattr(result, "warnings", []))
    return Told(study_lines(result), needs_attention=attention)


def extrapolate(found: Extrapolation, typed: Typed) -> Told:
    results = typed["results"]
    output = typed.get("output") or (os.path.isdir(results) and os.path.join(results, "extrapolation"))
    where = f"\nJSON and plot: {output}" if output else "\n-o FOLDER writes JSON and a plot"
    return Told([*extrapolation_lines(found), where], json=found.as_json())


def plan(found: Needs, typed: Typed) -> Told:
    from tiktokactions.study.plan import lines_of

    return Told(lines_of(found))


def report(written: ta.ReportWritten, typed: Typed) -> Told:
    lines = [f"{written.report}: {written.sections} sections, {written.bytes / 1e6:.1f} MB"]
    if written.left_out:
        lines.append(f"{written.left_out} pictures were left out to keep it under 10 MB")
    return Told(lines)


def doctor(statuses: list[DetectorStatus], typed: Typed) -> Told:
    lines = []
    for status in statuses:
        lines.append(f"{'ready  ' if status.ready else 'missing'}  {status.name}: {status.detail}")
        if not status.ready:
            lines.append(f"         to get it: {status.how_to_get}")
    usable = any(status.ready for status in statuses if status.name in ("yolox-nano", "blazepose"))
    return Told(lines, needs_attention=not usable)


def hashtags_explain(lines: list[str], typed: Typed) -> Told:
    return Told(lines)


def run(done: ta.ProjectRun, typed: Typed) -> Told:
    lines = step_lines(done.steps)
    lines += ["", *plan(done.needs, typed).lines] if done.needs is not None else []
    stopped = [f"step {done.stopped.name}: {done.stopped.told}"] if done.stopped else []
    again = [
        f"step {step.name}: {step.told}; the same command tries it again"
        for step in done.steps
        if step.state == "again"
    ]
    return Told(lines, [*stopped, *again])


def step_lines(steps: Sequence[StepDone]) -> list[str]:
    """A table of steps: of one that was carried out how long it took, of the others why."""
    rows = [[s.name, s.state, s.told or (f"in {s.seconds:.1f} s" if s.state == "done" else s.why)] for s in steps]
    return aligned([["step", "state", ""], *rows], (0, 1, 2), rule=True)


def update(done: ta.UpdateResult, typed: Typed) -> Told:
    lines = step_lines(done.steps)
    lines += ["", f"round {done.number}: {' '.join(done.reasons)}", f"in use: {done.finetuned} ({done.updates})"]
    stopped = [" ".join(done.reasons)] if done.state == "stopped" else []
    lines += ["", *done.trained_on_removed]
    return Told(lines, stopped)


def demo(steps: list[ta.DemoStep], typed: Typed) -> Told:
    return Told([])  # each step was shown when it was done


review = review_apply
study_scaling = study_sources = study
