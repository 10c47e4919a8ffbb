"""Numbers in the Markdown that come from ``benchmarks/results``: ``python -m benchmarks.numbers`` fills them in.

In README.md and docs/, ``91.7<!-- coverage.fitted -->`` is the fact of that name, shown with as many decimals as stand there.
The newest result of each benchmark counts. The documentation site fills them in as it is built; a test compares.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(?P<shown>[\w.,-]+)<!-- (?P<name>[a-z]\w*(?:\.\w+)+) -->")
PAPER_VIDEOS = 340_000


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def filled(text: str) -> str:
    """The text with every marked number as the results have it.

    Raises:
        KeyError: a name that is not among the facts.
    """
    known = facts()

    def fresh(found: re.Match[str]) -> str:
        value = known[found["name"]]
        decimals = len(found["shown"].partition(".")[2])
        return f"{value if isinstance(value, str) else format(value, f',.{decimals}f')}<!-- {found['name']} -->"

    return MARKED.sub(fresh, text)


def facts() -> dict[str, float | str]:
    """Every number that the prose uses, by name; percentages are of 100."""
    found: dict[str, float | str] = {}
    for benchmark, of in READERS.items():
        result = newest(benchmark)
        found[f"{benchmark}.date"] = result["environment"]["date"][:10]
        found |= {f"{benchmark}.{name}": value for name, value in of(result).items()}
    return found


def newest(benchmark: str) -> Any:
    return json.loads(max(RESULTS.glob(f"{benchmark}-20*.json")).read_bytes())


def _curate(result: Any) -> dict[str, float]:
    paper, ours = result["paper_cpu_s"], result["ours_cpu_s"]
    same_size, throughput = result["ours_source_size_with_audio_cpu_s"], result["throughput"]
    one, two = throughput["videos_per_hour_1_workers"], throughput["videos_per_hour_2_workers"]
    cuts_short, cuts_long, scene_short, scene_long = (row["worker_mb"] for row in result["memory"])
    return {
        "paper_s": paper,
        "s": ours,
        "floor_s": result["floor_cpu_s"],
        "same_size_s": same_size,
        "ratio": ours / paper,
        "with_look_s": result["ours_with_look_cpu_s"],
        "with_look_ratio": result["ours_with_look_cpu_s"] / paper,
        "same_size_ratio": same_size / paper,
        "floor_ratio": ours / result["floor_cpu_s"],
        "paper_per_hour": 3600 / paper,
        "per_hour": 3600 / ours,
        "videos": len(result["per_video"]),
        "same_scene": sum(row["scene_iou"] >= 0.9 for row in result["per_video"]),
        "one_worker": one,
        "two_workers": two,
        "two_over_one": two / one,
        "cuts_short_mb": cuts_short,
        "cuts_long_mb": cuts_long,
        "scene_short_mb": scene_short,
        "scene_long_mb": scene_long,
        "paper_size_core_hours": PAPER_VIDEOS * ours / 3600,
        "paper_size_days_on_two": PAPER_VIDEOS * ours / 3600 / 2 / 24,
        "paper_size_hours_on_16": PAPER_VIDEOS * ours / 3600 / 16,
        "paper_size_hours_on_96": PAPER_VIDEOS * ours / 3600 / 96,
        "paper_size_paper_core_hours": PAPER_VIDEOS * paper / 3600,
    }


def _copies(result: Any) -> dict[str, float]:
    return {
        **{
            name: result[name]
            for name in ("found", "found_if_compared", "pairs", "different_pairs", "one_room", "pair_ms")
        },
        "false": len(result["false"]),
        "false_one_room": len(result["false_one_room"]),
        "kb": result["bytes"] / 1000,
    }


def _dataset_scale(result: Any) -> dict[str, float]:
    rows = {row["command"]: row for row in result["measured"] if row.get("records", 100_000) == 100_000}
    names = {
        "rerun": "curate, nothing to do",
        "stats": "dataset stats",
        "redecide": "curate --redecide --min-person-frames 5",
    }
    return _seconds_and_gb(rows, names)


def _million(result: Any) -> dict[str, float]:
    rows = {row["command"]: row for row in result["measured"]}
    names = {
        "stats": "dataset stats",
        "split": "dataset split",
        "split_again": "dataset split, nothing new",
        "export": "dataset export --format kinetics",
        "gallery_first": "review: the gallery's first page, without an index",
        "gallery": "review: the gallery's first page",
        "take_down": "refresh --remove, one id",
    }
    return _seconds_and_gb(rows, names)


def _seconds_and_gb(rows: dict[str, Any], names: dict[str, str]) -> dict[str, float]:
    seconds = {f"{short}_s": rows[command]["wall s"] for short, command in names.items()}
    return seconds | {f"{short}_gb": rows[command]["peak GB"] for short, command in names.items()}


def _people(result: Any) -> dict[str, float]:
    found: dict[str, float] = {"photos": result["photos"], "with_people": result["with_people"]}
    for short, measured in zip(("yolox", "blazepose"), result["detectors"], strict=True):
        score = measured["detector"]["default_score"]
        row = next(row for row in measured["sweep"] if abs(row["threshold"] - score) < 1e-9)
        names = ("precision", "recall", "recall_tall", "false_positive_rate")
        found |= {f"{short}_{name}": row[name] for name in names}
        found |= {f"{short}_score": score, f"{short}_ms": measured["ms_per_frame"]}
    return found


def _clips_again(result: Any) -> dict[str, float]:
    counts = result["counts"]
    names = {
        "accepted": "accepted",
        "failing": "accepted clips that fail",
        "by_scene": "the scene's frames would have accepted",
    }
    names |= {
        "by_scene_failing": "of these, clips that fail",
        "videos": "videos",
        "long": "of longer scenes",
        "clips": "clips",
    }
    return {short: counts[name] for short, name in names.items()}


def _cuts(result: Any) -> dict[str, float]:
    found: dict[str, float] = {"videos": result["videos"], "cuts": result["ways"]["content"]["joins"]}
    for short, measured in zip(
        ("content", "adaptive", "adaptive_06", "transnet", "look"), result["ways"].values(), strict=True
    ):
        found |= {f"{short}_{name}": 100 * measured[name] for name in ("precision", "recall", "f1")}
        found[f"{short}_ms"] = measured["ms_per_frame"]
    found["look_cuts"] = result["ways"]["second look"]["joins"]
    for short in ("without", "with"):
        found |= {f"{short}_dirty": len(result["clips"][short]["dirty"]), f"{short}_s": result["clips"][short]["cpu_s"]}
    return found | {"cpu_ratio": result["clips"]["cpu_ratio"]}


def _train_step(result: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for task, measured in result["steps"].items():
        peer = measured["peer"]
        found[f"{task}_peer_s"] = statistics.median(peer["cpu_s"])
        for precision in ("fp32", "bf16"):
            ours = measured[f"ours {precision}"]
            found[f"{task}_{precision}_s"] = statistics.median(ours["cpu_s"])
            found[f"{task}_{precision}_ratio"] = ours["ratio"]
            found[f"{task}_{precision}_memory"] = ours["memory_gb"] / peer["memory_gb"]
    return found


def _loader(result: Any) -> dict[str, float]:
    if "pretraining" in result:  # until 2026-11-29, against an imitation
        small, benchmarks, large, curated = result["pretraining"]
    else:
        small, large, curated, benchmarks = result["pretrain"]
    rows = {"small": small, "benchmarks": benchmarks, "large": large, "curated": curated}
    found = {f"{short}_{name}": row[name] for short, row in rows.items() for name in ("ours", "reference", "ratio")}
    views_small, views_large = (row["ratio"] for row in result["test"])
    seconds = {f"{short}_step_s": 64 / row["ours"] for short, row in rows.items()}
    return found | seconds | {"views_small_ratio": views_small, "views_large_ratio": views_large}


def _review_load(result: Any) -> dict[str, float]:
    answer, following = result["answer_ms"], result["next_ms"]
    return {"answer_ms": answer["median"], "answer_p95_ms": answer["p95"], "next_ms": following["median"]}


def _review_gallery(result: Any) -> dict[str, float]:
    return {"slowest_s": max(result["pages_ms"].values()) / 1000}


def _suggest(result: Any) -> dict[str, float]:
    found: dict[str, float] = {"cpu_s": result["cpu_s"]}
    for row in result["rows"]:
        name = f"{row['task'].replace('-', '_')}_{100 * row['wrong']:.0f}"
        for way, columns in row["found"].items():
            for share, cell in zip(result["settings"]["looked_at"], columns, strict=True):
                at = f"{name}_{way.partition(' ')[0]}_{100 * share:.0f}"
                found |= {at: 100 * cell["mean"], f"{at}_low": 100 * cell["low"], f"{at}_high": 100 * cell["high"]}
        found |= {f"{name}_needed_{way.partition(' ')[0]}": float(n) for way, n in row["judgements"].items()}
        found |= {f"{name}_pooled": float(row["pooled_clips"])}
        found |= {f"{name}_flagged": 100 * row["likely_wrong_that_are"]["mean"]}
        found |= {f"{name}_instead": 100 * row["instead_that_is_right"]["mean"]}
    return found


def _real_curves(result: Any) -> dict[str, float]:
    found = {"tasks": result["tasks"], "cpu_s": result["cpu_s"]}
    multiples = ("1_41", "2", "4", "8")
    for source, answer, *errors in result["rmse"]:
        if source == "all":
            name = answer.lower().replace(" ", "_").replace("'", "")
            found |= {f"{name}_at_{m}": error for m, error in zip(multiples, errors, strict=True)}
    for source, *shares in result["coverage"]:
        if source == "all":
            found |= {f"covered_at_{m}": 100 * share for m, share in zip(multiples, shares, strict=True)}
    found["unreliable"] = max(abs(told - true) for _, number, told, true in result["reliability"] if number >= 20)
    return found


def _weeks(result: Any) -> dict[str, float]:
    """Of the last week: per cent, and thousandths of the loss of the first week's clips."""
    found: dict[str, float] = {"cpu_minutes": result["cpu_s"] / 60}
    for row in result["results"]["motion20"]:
        if row["week"] == result["settings"]["weeks"]:
            name = row["arm"].replace(" ", "_").replace(".", "")
            found |= {f"{name}_seeds": len(row["seeds"]), f"{name}_first_loss": 1000 * row["first_loss"]}
            found |= {f"{name}_{of}": 100 * row[of] for of in ("top1", "first_top1")}
            for of, times in (("top1_difference", 100), ("first_top1_difference", 100), ("first_loss_percent", 1)):
                if of in row:
                    ends = zip((of, f"{of}_low", f"{of}_high"), row[of], strict=True)
                    found |= {f"{name}_{end}": times * value for end, value in ends}
    return found


def _extrapolate(result: Any) -> dict[str, float]:
    ours, plain = result["ours_s"], result["plain_s"]
    return {"s": ours, "plain_s": plain, "times": plain / ours}


def _learn(_: Any) -> dict[str, float]:
    """From all results, as a later run may have fewer tasks; the newest of a task counts."""
    tasks = {"actions3, even to odd": "even_odd", "actions3, odd to even": "odd_even"}
    found: dict[str, float] = {}
    for path in sorted(RESULTS.glob("learn-20*.json")):
        for row in json.loads(path.read_bytes())["summary"]:
            if row["task"] in tasks:
                start = "pretrained" if row["pretrained"] else "scratch"
                name = f"{tasks[row['task']]}_{row['kind']}_{start}"
                found |= {name: 100 * row["mean"], f"{name}_sd": 100 * row["sd"]}
    return found


def _learn_motion(result: Any) -> dict[str, float]:
    """Means over the seeds that both arms have, and the gain of pre-training over as much compute from scratch."""
    arms = {"longer": "scratch, longer", "pixels": "pixels"}
    pair = tuple(f"{arm} (finetuned)" for arm in arms.values())
    [loss] = [row for row in result["differences"] if (row["first"], row["second"]) == pair]
    found = {name: -100 * loss[of] for name, of in (("gain", "difference"), ("low", "high"), ("high", "low"))}
    for name, arm in arms.items():
        trials = [
            t for t in result["trials"] if (t["kind"], t["arm"]) == ("finetuned", arm) and t["seed"] in loss["seeds"]
        ]
        found |= {name: 100 * statistics.mean(t["top1"] for t in trials)}
        found |= {f"{name}_cpu_s": statistics.mean(t["cpu_s"] for t in trials)}
    return found | {"seeds": len(loss["seeds"])}


def _fight300(result: Any) -> dict[str, float]:
    best = max(result["rows"], key=lambda row: row["accuracy"])
    return {name: 100 * best[name] for name in ("accuracy", "low", "high")} | {"side_px": best["side_px"]}


def _floor(result: Any) -> dict[str, float]:
    tasks = {"actions3, even to odd": "three", "actions7, by scene": "seven"}
    return {f"{tasks[task]}_{kind.replace('-', '_')}": 100 * mean for task, kind, _, mean, *_ in result["summary"]} | {
        "seeds": result["summary"][0][2]
    }


READERS = {
    "curate": _curate,
    "copies": _copies,
    "cuts": _cuts,
    "dataset_scale": _dataset_scale,
    "million": _million,
    "people": _people,
    "clips_again": _clips_again,
    "train_step": _train_step,
    "loader": _loader,
    "review_load": _review_load,
    "review_gallery": _review_gallery,
    "real_curves": _real_curves,
    "suggest": _suggest,
    "suggest_encoder": _suggest,
    "extrapolate": _extrapolate,
    "learn": _learn,
    "learn_motion": _learn_motion,
    "fight300": _fight300,
    "weeks": _weeks,
    "floor": _floor,
}


if __name__ == "__main__":
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if (fresh := filled(text)) != text:
            path.write_text(fresh, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: numbers brought up to date")
