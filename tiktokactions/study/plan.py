"""Plans what a number of videos needs: cores, disk, GPUs, days of API quota, hours of people, money, with the arithmetic.

Costs are measured on a sample or given. Anything else is unknown, and the plan says how to find out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from tiktokactions.collection.client import PAGE
from tiktokactions.collection.ledger import RECORDS_A_DAY, REQUESTS_A_DAY
from tiktokactions.collection.plan import ROWS_PER_WINDOW
from tiktokactions.intervals import wilson_interval
from tiktokactions.machine import usable_cores
from tiktokactions.records import JsonObject
from tiktokactions.study.options import PlanOptions
from tiktokactions.text import markdown_table

if TYPE_CHECKING:
    from tiktokactions.curation.measure import VideoCost


@dataclass(frozen=True)
class Need:
    """One line: ``value`` and, where a sample says how sure it is, the 95 % interval; None: unknown, see ``arithmetic``."""

    name: str
    value: float | None
    unit: str
    arithmetic: str
    low: float | None = None
    high: float | None = None


class Sample(TypedDict):
    """The videos that were measured: their number, the mean of each cost, and every one of them."""

    videos: int
    mean: dict[str, float]
    each: list[JsonObject]


@dataclass(frozen=True)
class Needs:
    """The plan, and the sample that it is based on."""

    videos: int
    needs: tuple[Need, ...]
    sample: Sample | None
    machine: str
    detector: str | None
    notes: tuple[str, ...] = ()


Curve = Callable[[float], tuple[float, float | None]]
"""Number of clips to the probability of the target with so many, and the number that gives an 80 % assurance of it."""


def needs_of(
    options: PlanOptions,
    sample: Sequence[VideoCost],
    machine: str,
    detector: str | None,
    notes: Sequence[str] = (),
    curve: Curve | None = None,
) -> Needs:
    """All lines, in the order in which the work is done. ``curve``: what was measured says of the target."""
    n = options.videos
    lines = [_quota(options)]
    if not sample:
        unknown = "unknown: `measure` VIDEOS measures a sample of your videos on this machine"
        lines += [Need(name, None, unit, unknown) for name, unit in _MEASURED]
        lines += [_people(options, None), *_gpu(options, None)]
        if curve:
            lines.append(Need(f"chance of {100 * (options.target or 0):g} %", None, "%", "unknown: needs `measure`"))
        return Needs(n, (*lines, *money(options, lines)), None, machine, detector, tuple(notes))
    raw = _total("raw videos", "GB", [c.source_bytes / 1e9 for c in sample], n, "MB", 1e3)
    clips = _total("clips", "GB", [c.clip_bytes / 1e9 for c in sample], n, "MB", 1e3)
    thumbs = _total("thumbnails", "GB", [c.thumbs_bytes / 1e9 for c in sample], n, "kB", 1e6)
    records = _total("records", "GB", [c.record_bytes / 1e9 for c in sample], n, "kB", 1e6)
    work = _total("core-hours of curate", "h", [c.core_s / 3600 for c in sample], n, "s", 3600)
    accepted, uncertain = (_share(sample, status, n) for status in ("accepted", "needs_review"))
    lines += [_download(options, raw), raw, work, _days(options, work), accepted, uncertain, clips, thumbs, records]
    disk = _sum("disk, all of it", [raw, clips, thumbs, records])
    looked_at = uncertain if options.review == "needs_review" else _share(sample, "both", n)
    learned_from = _learned_from(options, accepted, uncertain)
    lines += [disk, _people(options, looked_at), *_gpu(options, learned_from)]
    lines += money(options, lines)
    lines += _missing(options, learned_from, lines[-1], curve) if curve else []
    slowed = sum(c.wall_s for c in sample) / max(1e-9, sum(c.core_s for c in sample))
    busy = [
        f"the machine was busy: a video took {slowed:.2f} times its CPU seconds. The plan counts CPU seconds, which run high"
        " then too: measure again on an idle machine for a sharper number"
    ]
    told: Sample = {"videos": len(sample), "mean": _means(sample), "each": [dataclasses.asdict(c) for c in sample]}
    return Needs(n, tuple(lines), told, machine, detector, (*notes, *(busy if slowed > 1.2 else ())))


_MEASURED = (
    *(("raw videos", "GB"), ("core-hours of curate", "h"), ("accepted", "clips"), ("for review", "clips")),
    *(("clips", "GB"), ("thumbnails", "GB"), ("records", "GB")),
)


def _means(sample: Sequence[VideoCost]) -> dict[str, float]:
    names = ("core_s", "wall_s", "duration_s", "source_bytes", "clip_bytes", "thumbs_bytes", "record_bytes")
    return {name: round(sum(getattr(c, name) for c in sample) / len(sample), 4) for name in names}


def _total(name: str, unit: str, each: Sequence[float], n: int, small_unit: str, small: float) -> Need:
    """``n`` times the mean of a sample; the interval is that of the mean, by Student's t: few videos say little."""
    from scipy.special import stdtrit

    mean = sum(each) / len(each)
    error = math.sqrt(sum((x - mean) ** 2 for x in each) / max(1, len(each) - 1) / len(each)) if len(each) > 1 else None
    how = f"{n:,} × {mean * small:.4g} {small_unit} / {small:,.0f}"
    if error is None:
        return Need(name, n * mean, unit, how)
    reach = float(stdtrit(len(each) - 1, 0.975)) * error
    return Need(name, n * mean, unit, how, max(0.0, n * (mean - reach)), n * (mean + reach))


def _share(sample: Sequence[VideoCost], status: str, n: int) -> Need:
    """``n`` times a share of the sample, with Wilson's interval. ``status``: ``both``: accepted, or for review."""
    wanted = ("accepted", "needs_review") if status == "both" else (status,)
    hits, size = sum(c.status in wanted for c in sample), len(sample)
    name = "accepted" if status == "accepted" else "for review"
    low, high = wilson_interval(hits, size)
    return Need(name, n * hits / size, "clips", f"{n:,} × {hits} of {size}", n * low, n * high)


def _scaled(name: str, unit: str, of: Need, times: float, arithmetic: str) -> Need:
    assert of.value is not None
    low, high = (None if bound is None else bound * times for bound in (of.low, of.high))
    return Need(name, of.value * times, unit, arithmetic, low, high)


def _sum(name: str, parts: Sequence[Need]) -> Need:
    """The range assumes that all parts are high together, or low together."""
    values = [need.value or 0.0 for need in parts]
    bounds = [(need.low, need.high) for need in parts if need.low is not None and need.high is not None]
    low, high = (sum(pair[0] for pair in bounds), sum(pair[1] for pair in bounds)) if bounds else (None, None)
    return Need(name, sum(values), parts[0].unit, " + ".join(map(_number, values)), low, high)


def _quota(options: PlanOptions) -> Need:
    """The Research API's quota: requests run out before records do; twice the pages and a tenth more if rows are hidden.
    Every window of every hashtag is a request at least."""
    n, hashtags = options.videos, options.hashtags or 0
    windows = options.windows or math.ceil(n / max(1, hashtags) / ROWS_PER_WINDOW)
    pages, asked = math.ceil(n / PAGE), hashtags * windows
    best, likely = max(pages, asked), math.ceil(1.1 * max(math.ceil(2 * n / PAGE), asked))
    days, worse = (max(requests / REQUESTS_A_DAY, n / RECORDS_A_DAY) for requests in (best, likely))
    requests = f"{n:,} / {PAGE} a request = {pages:,} requests"
    requests += f", {hashtags:,} hashtags × {windows:,} windows = {asked:,}" if hashtags else ""
    requests += f"; {best:,} / {REQUESTS_A_DAY:,} a day; half of the rows hidden: {likely:,}"
    return Need("API quota", days, "days", requests, days, worse)


def _download(options: PlanOptions, raw: Need) -> Need:
    if options.download_mbit_s is None:
        return Need("download", None, "h", "unknown: `download_mbit_s` says how fast videos arrive")
    assert raw.value is not None
    how = f"{raw.value:,.0f} GB × 8,000 / {options.download_mbit_s:g} Mbit/s / 3,600"
    return _scaled("download", "h", raw, 8000 / options.download_mbit_s / 3600, how)


def _days(options: PlanOptions, work: Need) -> Need:
    assert work.value is not None
    cores = options.cores or usable_cores()
    return _scaled(f"curate on {cores} cores", "days", work, 1 / cores / 24, f"{work.value:,.0f} h / {cores} / 24")


def _people(options: PlanOptions, clips: Need | None) -> Need:
    if clips is None or clips.value is None:
        return Need("review", None, "h", "unknown: needs the share for review, `measure`, and `review_s`")
    if options.review_s is None:
        return Need("review", None, "h", "unknown: `review_s` says how long a person takes for a clip")
    how = f"{clips.value:,.0f} clips × {options.reviewers} × {options.review_s:g} s / 3,600"
    return _scaled("review", "h", clips, options.reviewers * options.review_s / 3600, how)


def _learned_from(options: PlanOptions, accepted: Need, uncertain: Need) -> Need:
    """Clips that are pre-trained on: those accepted, and those of the uncertain ones that people accept: all of them or none
    where nobody says which share, and half in between."""
    least, share, most = (0.0, 0.5, 1.0) if options.review_accepts is None else (options.review_accepts,) * 3
    value, low, high = (
        None if one is None or other is None else one + part * other
        for part, one, other in (
            (share, accepted.value, uncertain.value),
            (least, accepted.low, uncertain.low),
            (most, accepted.high, uncertain.high),
        )
    )
    told = "" if options.review_accepts is not None else " (`review_accepts` says which share)"
    how = f"{accepted.value or 0:,.0f} accepted + {share:g} × {uncertain.value or 0:,.0f} in review{told}"
    return Need("learned from", value, "clips", how, low, high)


def _gpu(options: PlanOptions, learned_from: Need | None) -> list[Need]:
    found = []
    if learned_from is None or learned_from.value is None:
        found.append(Need("pre-training", None, "GPU-h", "unknown: needs the number of clips, `measure`"))
    else:
        ends = (learned_from.low, learned_from.high)
        low, high = (None if end is None else training(options, round(end)).value for end in ends)
        middle = training(options, round(learned_from.value))
        found.append(
            dataclasses.replace(
                middle, low=low, high=high, arithmetic=f"{learned_from.arithmetic}; {middle.arithmetic}"
            )
        )
    if options.finetune_videos is not None:
        found.append(training(options, options.finetune_videos, "finetune_"))
    return found


def _missing(options: PlanOptions, clips: Need, total: Need, curve: Curve) -> list[Need]:
    """How likely the target is with these clips, and what reaching it with an assurance of 80 % costs if they miss it."""
    wanted, number = f"{100 * (options.target or 0):g} %", clips.value or 0.0
    if number < 1:
        return [Need(f"chance of {wanted}", None, "%", "unknown: no clip of the sample would be learned from")]
    bounds = [100 * curve(end)[0] if end else None for end in (clips.low, clips.high)]
    chance, assured = curve(number)
    how = f"of {number:,.0f} clips, by the curve that was measured"
    found = [Need(f"chance of {wanted}", 100 * chance, "%", how, bounds[0], bounds[1])]
    if assured is None:
        unknown = f"unknown: no size on the curve gives an 80 % assurance of {wanted}"
        return [*found, Need("if it is missed", None, "videos more", unknown)]
    more = max(0.0, assured / number - 1)
    how = f"an 80 % assurance takes {assured:,.0f} clips, {1 + more:.3g} times as many; it is missed with {1 - chance:.0%}"
    found.append(Need("if it is missed", options.videos * more, "videos more", how))
    if total.name == "money" and total.value is not None:
        found.append(
            Need("money if it is missed", total.value * more, options.currency, f"{_number(total.value)} × {more:.3g}")
        )
    return found


def training(options: PlanOptions, clips: int, kind: Literal["", "finetune_"] = "") -> Need:
    """GPU hours of a pre-training or fine-tuning. ``kind``: what the names of its options begin with."""
    name, option = "fine-tuning" if kind else "pre-training", f"gpu_{kind}step_s"
    epochs, batch, step_s = (getattr(options, n) for n in (f"{kind}epochs", f"{kind}batch_size", option))
    steps = epochs * (clips // batch)
    how = f"{epochs} epochs × {clips:,} clips / {batch} = {steps:,} steps"
    if step_s is None:
        how += f"; the rest is unknown: `{option}` says how long a step takes on your GPUs"
        return Need(name, None, "GPU-h", how)
    how += f" × {step_s:g} s × {options.gpus} GPUs / 3,600"
    return Need(name, steps * step_s * options.gpus / 3600, "GPU-h", how)


def money(options: PlanOptions, needs: Sequence[Need]) -> list[Need]:
    """What the lines above it cost, of all that has a price and is known; nothing where no price is given."""
    prices = {
        "core-hours of curate": options.core_h_price,
        "disk, all of it": options.gb_price,
        "review": options.person_h_price,
    } | dict.fromkeys({need.name for need in needs if need.unit == "GPU-h"}, options.gpu_h_price)
    priced = [(need, price) for need in needs if (price := prices.get(need.name)) is not None]
    known = [f"{_number(need.value)} {need.unit} × {price:g}" for need, price in priced if need.value is not None]
    if not priced:
        return []
    unknown = [need.name for need, _ in priced if need.value is None]
    how = " + ".join(known) + (f"; not in it, because unknown: {', '.join(unknown)}" if unknown else "")
    middle, low, high = (
        sum(
            ((need.value if end is None else end) or 0) * price
            for need, price in priced
            for end in [getattr(need, name)]
        )
        for name in ("value", "low", "high")
    )
    ends = (low, high) if known and (low, high) != (middle, middle) else (None, None)
    return [Need("money", middle if known else None, options.currency, how.removeprefix("; "), *ends)]


# --- as text ---------------------------------------------------------------------------------------------------------


def lines_of(plan: Needs) -> list[str]:
    """A table in Markdown, and what to know about it."""
    told = f"{plan.sample['videos']} videos measured" if plan.sample else "nothing measured"
    seen = f", people seen by {plan.detector}" if plan.detector else ""
    rows = [("", "needed", "range", "arithmetic")]
    for need in plan.needs:
        amount = "unknown" if need.value is None else f"{_number(need.value)} {need.unit}"
        between = "" if need.low is None or need.high is None else f"{_number(need.low)} to {_number(need.high)}"
        rows.append((need.name, amount, between, need.arithmetic))
    notes = [
        "ranges are 95 % intervals of the sample (Student's t; shares: Wilson); of the quota from full pages to half of the"
        " rows hidden"
    ]
    title = f"{plan.videos:,} videos ({told} on {plan.machine}{seen})"
    return [title, "", *markdown_table(rows, padded=True), "", *(f"note: {note}" for note in (*notes, *plan.notes))]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
