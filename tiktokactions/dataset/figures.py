"""The figures of a dataset: those of the paper's Appendix (5 to 7 and Table 6), the funnel and the time per stage."""

from __future__ import annotations

import base64
import hashlib
import heapq
import io
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageOps

from tiktokactions import plots
from tiktokactions.dataset.statistics import Funnel, Statistics
from tiktokactions.dataset.statistics_text import label_summary, share
from tiktokactions.dataset.subset_mark import parent_of
from tiktokactions.dataset.tally import DURATION_EDGES_S, NO_LABEL, STAGES, labels_of_rows, read_batches
from tiktokactions.files import Place, delete, poster_path, write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = (
    *("clips_per_label", "clips_per_label_names", "on_the_platform", "label_ranges", "durations", "funnel", "timings"),
    "sample_frames",
)
"""Names of all figures, in the order in which they are drawn."""

MAX_NAMED_BARS = 40
"""Up to this many labels, each is a bar with its name; more are an outline, with the names in a figure of their own."""
MAX_NAMES = 1200
"""With more labels than this no figure lists them all; ``stats.json`` does."""
MAX_FUNNEL_LABELS = 24
SAMPLE_LABELS = 12
SAMPLES_PER_LABEL = 4

_STAGE_NAMES = [stage.replace("_", " ") for stage in STAGES]


@plots.style()
def draw_figures(dataset: Place, stats: Statistics) -> list[Place]:
    """Draw all figures into ``<dataset>/figures`` as SVG and PNG and return their paths.

    A figure for which there is nothing to show (no timings; few labels, which need no list of their own) is not drawn,
    and an older one of the same name is removed; the others say in words that there are no clips yet. The same dataset
    gives the same bytes.
    """
    folder, paths = dataset / "figures", []
    for draw in (clips_per_label, clips_per_label_names, on_the_platform, label_ranges, durations, funnel, timings):
        if (figure := draw(stats)) is not None:
            paths += plots.save_figure(figure, folder / draw.__name__)
    paths += save_sample_frames(dataset, stats, folder / "sample_frames", dataset / "manifest.parquet")
    for name in FIGURES:
        for path in (folder / f"{name}.svg", folder / f"{name}.png"):
            if path not in paths:
                delete(path)
    return paths


# --- clips per label (paper, Figure 6) -------------------------------------------------------------------------------


def clips_per_label(stats: Statistics) -> Figure:
    """Accepted clips per label, sorted: named bars for few labels; for many, thin bars of which some are named."""
    labels = [f for f in stats.labels if f.accepted]
    if not labels:
        return plots.message_figure("no clips yet")
    few = stats.clips_per_label is None or stats.clips_per_label.labels <= MAX_NAMED_BARS
    figure = plots.new_figure(8, 0.8 + 0.27 * len(labels) if few else 4.4)
    axes = figure.add_subplot()
    if few:
        notes = [f"{f.accepted:,}" for f in labels]
        colors = [plots.REJECTED if f.label == NO_LABEL else plots.ACCEPTED for f in labels]
        plots.horizontal_bars(axes, [f.label for f in labels], [f.accepted for f in labels], notes, colors)
    else:
        _thin_bars(axes, [f for f in labels if f.label != NO_LABEL])
    plots.title(axes, "Clips per label", label_summary(stats))
    return figure


def _thin_bars(axes: Axes, labels: list[Funnel]) -> None:
    counts = np.array([f.accepted for f in labels])
    axes.bar(np.arange(len(counts)), counts, width=0.8 if len(counts) < 800 else 1, color=plots.ACCEPTED, linewidth=0)
    mean, last, top = float(counts.mean()), int(counts[-1]), counts[0] * 1.1
    axes.axhline(mean, color=plots.INK, linewidth=1, linestyle=(0, (4, 3)))
    # Right of the bars, where nothing else is: the mean and the smallest, kept apart where they are close.
    right = len(counts) * 1.005
    axes.text(right, mean, f"mean\n{mean:,.1f}", va="center", fontsize=9)
    smallest = next(f.label for f in labels if f.accepted == last)
    text = f"{plots.printable(smallest, 16)}\n{last:,}"
    axes.text(right, min(max(last, 0.05 * top), mean - 0.13 * top), text, va="center", fontsize=9)
    axes.text(0, counts[0], f" {plots.printable(labels[0].label, 24)} {counts[0]:,}", va="bottom", fontsize=9)
    step = math.ceil(len(counts) / 40)
    named = range(0, len(counts), step)
    axes.set_xticks(named, [plots.printable(labels[i].label, 18) for i in named], rotation=90, fontsize=8)
    axes.tick_params(axis="x", length=3, pad=2)
    axes.set_xlabel(f"one label in {step} of {len(counts):,} is named" if step > 1 else "", fontsize=9)
    axes.set_xlim(-1, len(counts))
    axes.set_ylim(0, top)
    plots.count_axis(axes)


def needs_names_figure(stats: Statistics) -> bool:
    """Whether :func:`clips_per_label_names` is drawn: too many labels for named bars, few enough for one figure."""
    return stats.clips_per_label is not None and MAX_NAMED_BARS < stats.clips_per_label.labels <= MAX_NAMES


def clips_per_label_names(stats: Statistics) -> Figure | None:
    """Every label with its count in four columns, for datasets whose labels do not fit into :func:`clips_per_label`."""
    if not needs_names_figure(stats):
        return None
    labels = [f for f in stats.labels if f.accepted and f.label != NO_LABEL]
    columns, row_in, width_in, head_in = 4, 0.125, 8.0, 0.45
    rows = math.ceil(len(labels) / columns)
    height_in = rows * row_in + head_in + 0.1
    figure = plots.new_figure(width_in, height_in)
    figure.set_layout_engine("none")
    figure.text(0.012, 1 - 0.2 / height_in, "Clips per label, all labels", va="center", fontsize=11, fontweight="bold")
    largest = max(f.accepted for f in labels)
    for column in range(columns):
        part = labels[column * rows : (column + 1) * rows]
        # One coordinate is one inch: names take 1.1 of a column, bars and counts the rest.
        axes = figure.add_axes((column / columns, 0.1 / height_in, 1 / columns, rows * row_in / height_in))
        axes.set(xlim=(0, width_in / columns), ylim=(rows - 0.5, -0.5))
        axes.set_axis_off()
        lengths = [0.5 * f.accepted / largest for f in part]
        axes.barh(range(len(part)), lengths, left=1.13, height=0.7, color=plots.ACCEPTED, linewidth=0)
        for row, f in enumerate(part):
            axes.text(1.08, row, plots.printable(f.label, 18), ha="right", va="center", fontsize=7)
            axes.text(1.16 + lengths[row], row, f"{f.accepted:,}", va="center", fontsize=7, color=plots.MUTED)
    return figure


def on_the_platform(stats: Statistics) -> Figure | None:
    """What the accepted clips stand for on the platform by label, each weighted by one divided by its inclusion probability;
    the largest labels. None where no probability is known."""
    labels = sorted((f for f in stats.labels if f.represented), key=lambda f: (-f.represented, f.label))[
        :MAX_NAMED_BARS
    ]
    if not labels:
        return None
    figure = plots.new_figure(8, 0.8 + 0.27 * len(labels))
    axes = figure.add_subplot()
    notes = [f"{f.represented:,.0f} ({f.accepted:,} clips)" for f in labels]
    plots.horizontal_bars(axes, [f.label for f in labels], [f.represented for f in labels], notes, plots.ACCEPTED)
    told = f"{stats.sampled:,} clips stand for about {stats.represented:,.0f}"
    plots.title(axes, "Videos on the platform per label, estimated", told)
    return figure


# --- ranges and durations (paper, Figure 7 and Table 6) --------------------------------------------------------------


def label_ranges(stats: Statistics) -> Figure:
    """Labels by their number of clips: the paper's ranges, and ranges that fit this dataset."""
    if not stats.fitted_ranges:
        return plots.message_figure("no labelled clips yet")
    rows = max(len(stats.paper_ranges), len(stats.fitted_ranges))
    figure = plots.new_figure(8, 0.75 + 0.3 * rows)
    total = sum(b.count for b in stats.fitted_ranges)
    largest = max(b.count for b in (*stats.paper_ranges, *stats.fitted_ranges))
    both = {"the paper's ranges": stats.paper_ranges, "ranges of this dataset": stats.fitted_ranges}
    for axes, (name, bins) in zip(figure.subplots(1, 2), both.items(), strict=True):
        notes = [f"{share(b.count, total)} ({b.count:,})" for b in bins]
        names, counts = [b.name for b in bins], [b.count for b in bins]
        colors = list(plots.SEQUENCE[: len(bins)])
        plots.horizontal_bars(axes, names, counts, notes, colors, width_in=2.7, longest=largest)
        axes.set_ylim(rows - 0.4, -0.6)  # the same thickness in both
        plots.title(axes, f"{total:,} labels by clips" if bins is stats.paper_ranges else "", name)
    return figure


def durations(stats: Statistics) -> Figure:
    """Histogram of clip durations in half seconds, with the bins of the paper's Table 6 marked and counted above."""
    if not stats.duration_histogram:
        return plots.message_figure("no clips yet")
    figure = plots.new_figure(8, 3.6)
    axes = figure.add_subplot()
    bins = stats.duration_histogram
    step = bins[0].high - bins[0].low if bins[0].high is not None else 1.0
    axes.bar([b.low for b in bins], [b.count for b in bins], width=step * 0.94, align="edge", color=plots.ACCEPTED)
    # Room for the words of the last bin, which is often a single bar.
    low, high = min(bins[0].low, DURATION_EDGES_S[0]), max(bins[-1].low + step, DURATION_EDGES_S[-1] + 1.6)
    axes.set_xlim(low - step / 2, high)
    axes.set_ylim(0, max(b.count for b in bins) * 1.25)
    total = sum(b.count for b in stats.durations)
    for b in stats.durations:
        if b.low > 0:
            axes.axvline(b.low, color=plots.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        if b.count or b.low > 0:
            x = max(b.low, low - step / 2) + 0.06
            text = f"{b.name}\n{b.count:,} · {share(b.count, total)}"
            axes.text(x, 0.98, text, transform=axes.get_xaxis_transform(), va="top", fontsize=9)
    axes.set_title(f"Duration of {total:,} clips, {stats.clip_hours:,.1f} hours")
    axes.set_xlabel("seconds")
    axes.set_ylabel("clips per half second")
    plots.count_axis(axes)
    return figure


# --- funnel ----------------------------------------------------------------------------------------------------------


def funnel(stats: Statistics) -> Figure:
    """How many videos reached each stage, overall and, as a table with shaded cells, for the most frequent labels."""
    if not stats.videos:
        return plots.message_figure("no videos yet")
    named = sorted((f for f in stats.labels if f.label != NO_LABEL), key=lambda f: (-f.seen, f.label))
    labels = named[:MAX_FUNNEL_LABELS]
    labels += [f for f in stats.labels if f.label == NO_LABEL and named]
    heights = [0.5 + 0.3 * len(STAGES), *([0.75 + 0.24 * len(labels)] if labels else [])]
    figure = plots.new_figure(8, sum(heights) + 0.2)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    _overall_funnel(figure.add_subplot(grid[0]), stats)
    if labels:
        axes = figure.add_subplot(grid[1])
        _label_funnel(axes, labels)
        some = len(named) > MAX_FUNNEL_LABELS
        which = f": the {MAX_FUNNEL_LABELS} most frequent of {len(named):,} labels" if some else ""
        axes.set_title(f"Share of the videos seen, per label{which}")
    return figure


def _overall_funnel(axes: Axes, stats: Statistics) -> None:
    counts = _counts(stats.funnel)
    notes = [f"{n:,} · {share(n, stats.videos)}" for n in counts]
    colors = [*plots.SEQUENCE[1:4], plots.SEQUENCE[3], plots.SEQUENCE[4], plots.REVIEW]
    required = stats.min_person_frames
    people = f"people in {required}+ frames" if required else "people (not required)"
    names = [people if name == "people" else name for name in _STAGE_NAMES]
    plots.horizontal_bars(axes, names, list(counts), notes, colors)
    axes.set_title(f"From {stats.videos:,} videos to {stats.funnel.accepted:,} clips")


def _label_funnel(axes: Axes, labels: list[Funnel]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.array([_counts(f) for f in labels], float)
    shares = counts / counts[:, :1]
    blues = LinearSegmentedColormap.from_list("share", ["#f4f8fc", *plots.SEQUENCE[:5]])
    axes.pcolormesh(shares, cmap=blues, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    for (row, column), value in np.ndenumerate(shares):
        color = "white" if value > 0.78 else plots.INK
        text = f"{counts[row, column]:,.0f}" if column == 0 else f"{100 * value:.0f} %"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5, color=color)
    axes.set_ylim(len(labels), 0)
    axes.set_yticks(np.arange(len(labels)) + 0.5, [plots.printable(f.label, 28) for f in labels], fontsize=9)
    axes.set_xticks(np.arange(len(_STAGE_NAMES)) + 0.5, _STAGE_NAMES, fontsize=9)
    axes.spines[:].set_visible(False)


def _counts(f: Funnel) -> tuple[int, ...]:
    return tuple(getattr(f, stage) for stage in STAGES)


def timings(stats: Statistics) -> Figure | None:
    """Seconds per video of each stage of curation, over the videos that went through it."""
    if not stats.stages:
        return None
    figure = plots.new_figure(8, 0.8 + 0.3 * len(stats.stages))
    axes = figure.add_subplot()
    notes = [f"{s.mean_s:.3f} s · {_time(s.total_s)} for {s.videos:,} videos" for s in stats.stages]
    plots.horizontal_bars(axes, [s.name for s in stats.stages], [s.mean_s for s in stats.stages], notes, plots.ACCEPTED)
    axes.set_title("Seconds per video and stage")
    return figure


def _time(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 600 else f"{seconds / 3600:,.2f} h"


# --- sample frames (paper, Figure 5) ---------------------------------------------------------------------------------


def save_sample_frames(dataset: Place, stats: Statistics, stem: Place, manifest: Place) -> list[Place]:
    posters = sample_posters(dataset, stats, manifest)
    if not posters:
        why = "no posters of accepted clips in thumbs/" if stats.funnel.accepted else "no clips yet"
        return plots.save_figure(plots.message_figure(f"no sample frames: {why}"), stem)
    svg, png = plots.save_figure(sample_frames(posters), stem)
    # matplotlib embeds pictures as PNG, several times the size of JPEG for photographs.
    smaller = re.sub(rb"data:image/png;base64,([^\"]+)", _as_jpeg, svg.read_bytes())
    write_atomic(svg, smaller)
    return [svg, png]


def _as_jpeg(match: re.Match[bytes]) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(match[1]))) as picture:
        picture.convert("RGB").save(buffer, "JPEG", quality=88)
    return b"data:image/jpeg;base64," + base64.b64encode(buffer.getvalue())


def sample_posters(dataset: Place, stats: Statistics, manifest: Place | None = None) -> dict[str, list[Image.Image]]:
    """Posters of accepted clips: up to 12 labels, spread from the largest to the smallest, up to 4 of each.

    Which of a label's clips are shown follows from a hash of their ids, so it is arbitrary but always the same. Posters
    that are missing or cannot be read are passed over.
    """
    labels = [f.label for f in stats.labels if f.accepted and f.label != NO_LABEL] or [NO_LABEL]
    count = min(SAMPLE_LABELS, len(labels))
    wanted = [labels[round(i * (len(labels) - 1) / max(1, count - 1))] for i in range(count)]
    candidates: dict[str, list[tuple[str, str]]] = {label: [] for label in wanted}
    for batch in read_batches(
        manifest or dataset / "manifest.parquet", ["video_id", "status", "labels", "human_labels"]
    ):
        accepted = batch.filter(pc.equal(batch["status"], "accepted"))
        rows, names = labels_of_rows(accepted)
        chosen = pc.is_in(names, value_set=pa.array(wanted))
        ids = accepted["video_id"].take(pa.array(rows[chosen.to_numpy(zero_copy_only=False)])).to_pylist()
        for video_id, label in zip(ids, names.filter(chosen).to_pylist(), strict=True):
            candidates[label].append((hashlib.sha256(video_id.encode()).hexdigest(), video_id))
    posters: dict[str, list[Image.Image]] = {}
    for label, hashed in candidates.items():
        # A few more than needed, for posters that are missing; not all, for a label with thousands of clips.
        nearest = heapq.nsmallest(4 * SAMPLES_PER_LABEL, hashed)
        found = (_poster(poster_path(parent_of(dataset), video_id)) for _, video_id in nearest)
        if pictures := [picture for picture in found if picture is not None][:SAMPLES_PER_LABEL]:
            posters[label] = pictures
    return posters


def _poster(path: Place) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            return picture.convert("RGB")
    except OSError:  # missing, cut short, or not a picture (PIL.UnidentifiedImageError)
        return None


def sample_frames(posters: dict[str, list[Image.Image]]) -> Figure:
    """A grid of posters, two labels side by side, each with its name above; cropped to one shape around the middle."""
    pictures = [picture for row in posters.values() for picture in row]
    portrait = 2 * sum(picture.height >= picture.width for picture in pictures) >= len(pictures)
    blocks = 1 if len(posters) == 1 else 2
    rows = math.ceil(len(posters) / blocks)
    gap_in, title_in, width_in = 0.08, 0.32, 8.0
    cell_w = (width_in - 0.3 - 0.3 * (blocks - 1)) / (blocks * SAMPLES_PER_LABEL) - gap_in
    cell_h = cell_w * (4 / 3 if portrait else 3 / 4)
    height_in = rows * (cell_h + title_in) + 0.55
    figure = plots.new_figure(width_in, height_in)
    figure.set_layout_engine("none")
    figure.text(0.15 / width_in, 1 - 0.22 / height_in, "Sample frames", va="center", fontsize=11, fontweight="bold")
    for i, (label, row) in enumerate(posters.items()):
        left = 0.15 + (i % blocks) * (SAMPLES_PER_LABEL * (cell_w + gap_in) + 0.3)
        top = 0.45 + (i // blocks) * (cell_h + title_in)
        title = "without a label" if label == NO_LABEL else plots.printable(label, 44)
        figure.text(left / width_in, 1 - (top + title_in / 2) / height_in, title, va="center", fontsize=10)
        for k, picture in enumerate(row):
            x, y = left + k * (cell_w + gap_in), height_in - top - title_in - cell_h
            axes = figure.add_axes((x / width_in, y / height_in, cell_w / width_in, cell_h / height_in))
            axes.set_axis_off()
            size = (round(cell_w * plots.PNG_DPI), round(cell_h * plots.PNG_DPI))
            axes.imshow(np.asarray(ImageOps.fit(picture, size)), aspect="auto", interpolation="none")
    return figure
