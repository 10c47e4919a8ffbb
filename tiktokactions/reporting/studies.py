"""The sections about studies: accuracy by size or by source, and what size a target needs, with its interval."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import PurePath

from tiktokactions.clips.clip import SYNTHETIC
from tiktokactions.files import Place
from tiktokactions.records import JsonObject
from tiktokactions.reporting.blocks import Bar, Block, Section, Text, bars, facts, interval, table
from tiktokactions.reporting.numbers import count, percent
from tiktokactions.reporting.pictures import figure
from tiktokactions.study.tables import FEW_CLASSES, classes_of

MOST_FAMILIES = 20


def study_sections(folder: Place) -> list[Section]:
    """A data-size study or a comparison of sources, finished or not, and its extrapolation if there is one."""
    settings = _read(folder / "study.json")
    result = _read(folder / "result.json") if (folder / "result.json").is_file() else None
    trials = [_read(path) for path in sorted((folder / "trials").glob("*/result.json"))]
    by_source = "sources" in settings
    title = "Which data: comparison of sources" if by_source else "How much data: accuracy by size"
    blocks: list[Block] = _progress(folder, result)
    answer = ""
    by_size = "size of the pre-training data: runs, means, spread (paper, Figure 3)"
    alt = f"Accuracy by {'source of the pre-training data (paper, Figure 4)' if by_source else by_size}"
    blocks += figure(folder / "figures" / f"accuracy_by_{'source' if by_source else 'size'}", alt, alt)
    if result is not None:
        tested, classes = min((trial["videos"] for trial in trials if "videos" in trial), default=0), classes_of(folder)
        rows = [_bar(row, tested) for row in result["table"]]
        told = "Mean top-1, with the 95 % interval for other test videos" + ("; the line is chance" if classes else "")
        blocks += bars(told, rows, 1 / classes if classes else None)
        blocks += _rows(result["table"], result["equal"], classes)
        blocks += _differences(folder)
        blocks += [Text(warning, "warning") for warning in result["warnings"]]
        told_of = rows if by_source else [*rows[:1], *rows[1:][-1:]]
        answer = f"Top-1: {'; '.join(f'{row.name} {row.told}' for row in told_of)}."
    settled = table("Settings", ("setting", "value"), [(k, json.dumps(v)) for k, v in settings.items()], folded=True)
    sections = [Section(title, tuple(blocks), folder.name, answer, _study_commands(folder, settings), tuple(settled))]
    if (folder / "extrapolation" / "extrapolation.json").is_file():
        sections.append(extrapolation_section(folder / "extrapolation", folder.name))
    return sections


def _bar(row: JsonObject, tested: int) -> Bar:
    name = row.get("source") or f"{count(row['size'])} videos"
    return interval(name, row["top1"] * tested, tested) if tested else Bar(name, percent(row["top1"]), row["top1"])


def _study_commands(folder: Place, settings: JsonObject) -> tuple[str, ...]:
    """The recipes of the two trainings as files, and the command that uses them; none for settings of before that lack it."""
    if "kind" not in settings:
        return ()
    files, named, words = [], list[str](), ["tiktokactions", "study", settings["kind"]]
    for name in ("pretrain", "finetune"):
        lines = [f"{option} = {json.dumps(value)}" for option, value in settings[name].items()]
        recipe = f"{folder.name}-{name}.toml"
        if lines:
            files.append(shlex.join(["printf", "%s\\n", *lines]) + f" > {shlex.quote(recipe)}")
            words += [f"--{name}-config", recipe]
    if settings["kind"] == "scaling":
        words[3:3] = [_data(settings["data"]), "--sizes", *map(str, settings["sizes"])]
    else:
        for name, data in settings["sources"].items():
            is_word = data in (None, SYNTHETIC)  # said by its name alone
            named.append(name if is_word else f"{name}={_data(data)}")
        words[3:3] = [*named, *(["--size", str(settings["size"])] if settings["size"] else [])]
    words += ["--evaluate-on", PurePath(settings["evaluate_on"]).name, "-o", folder.name]
    words += ["--repeats", str(settings["repeats"]), "--equal", settings["equal"], "--seed", str(settings["seed"])]
    words += [f"--{name}" for name in ("stratified", "warm") if settings.get(name)]
    return (*files, shlex.join(words))


def _data(said: str) -> str:
    """Data without the folder they lie in, synthetic ones with their number."""
    if not said.startswith(SYNTHETIC):
        return PurePath(said).name
    return ":".join(part if part.isdigit() else PurePath(part).name for part in said.split(":", 2))


def _progress(folder: Place, result: JsonObject | None) -> list[Block]:
    finished = len(list((folder / "trials").glob("*/result.json")))
    failed = len(list((folder / "trials").glob("*/failed.json")))
    if result is None:
        told = f"This study is not finished: {finished} trials are. Give its command again to continue."
        return [Text(told, "warning")]
    crashes = [Text(f"{name} crashed: {_last(lines)}", "warning") for name, lines in result["failed"].items()]
    return [facts((f"{finished} of {result['trials']}", "trials finished"), (count(failed), "crashed")), *crashes]


def _rows(rows: list[JsonObject], equal: str, classes: int) -> list[Block]:
    names = {"top1": "top-1", "top1_sd": "standard deviation of the runs", "top5": "top-5"}
    if all(row["runs"] < 2 for row in rows):
        del names["top1_sd"]
    if 0 < classes < FEW_CLASSES:
        del names["top5"]
    told = [(count(row["size"]), count(row["runs"]), *(percent(row[name], 2) for name in names)) for row in rows]
    head: tuple[str, ...] = ("videos", "runs", *names.values())
    if rows and "source" in rows[0]:
        head, told = ("source", *head), [(row["source"], *cells) for row, cells in zip(rows, told, strict=True)]
    return table(f"Pre-training with equal {equal}, the same fine-tuning and test for all", head, told)


def _differences(folder: Place) -> list[Block]:
    path = folder / "differences.csv"
    if not path.is_file():
        return []
    points = ("difference", "low_95", "high_95")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            (f"{r['first']} − {r['second']}", *(f"{100 * float(r[k]):+.1f}" for k in points))
            for r in csv.DictReader(file)
        ]
    head = ("difference of", "points of top-1", "95 % from", "to")
    return table("Differences, paired bootstrap over test videos and seeds", head, rows)


def extrapolation_section(folder: Place, about: str = "") -> Section:
    """The figure with its interval, the answer in a sentence, the answers by target, the families."""
    found = _read(folder / "extrapolation.json")
    blocks: list[Block] = [Text(found["sentence"], "answer")] if found["sentence"] else []
    blocks += [Text(f"Note: {note}.") for note in found["notes"]]
    alt = "Measured accuracies, fitted curves, 90 % interval and targets, on linear and logarithmic axes"
    blocks += figure(folder / "extrapolation", alt, alt)
    answers = [
        (
            f"{100 * float(target):g} %",
            *("not told" if a[name] is None else count(a[name]) for name in ("size", "low", "high")),
            percent(a.get("probability"), 0),
        )
        for target, a in found["answer"].items()
    ]
    head = ("target", "videos", "90 % from", "to", "probability with eight times the data")
    blocks += table("What a target needs", head, answers)
    predicted = [(count(p["size"]), *(percent(p[k]) for k in ("accuracy", "low", "high"))) for p in found["prediction"]]
    blocks += table("Accuracy to expect", ("videos", "accuracy", "90 % from", "to"), predicted)
    targets = list(found["answer"]) or list(found["families"][0]["sizes"])
    families = [
        (f["name"], f"{f['sse']:.3g}", *(_size(f["sizes"].get(t)) for t in targets), ", ".join(f["flags"]))
        for f in found["families"][:MOST_FAMILIES]
    ]
    columns = ("family", "squared error", *(f"{100 * float(t):g} %" for t in targets), "remarks")
    blocks += table(f"Families by squared error, the first {len(families)}", columns, families, folded=True)
    words = ["tiktokactions", "extrapolate", about or "RESULTS.csv"]
    words += ["--targets", *found["answer"]] if found["answer"] else []
    words += ["--classes", str(round(1 / found["chance"]))] if found.get("chance") else []
    words += ["--method", "paper"] if found["method"] == "paper" else []
    again = shlex.join([*words, "-o", f"{about}/{folder.name}" if about else folder.name])
    sentence = found["sentence"]
    return Section("How much data a target needs", tuple(blocks), about or folder.name, sentence, (again,))


def _size(value: float | None) -> str:
    return "–" if value is None else count(value) if value < 1e12 else f"{value:.1e}"


def _read(path: Place) -> JsonObject:
    return json.loads(path.read_text(encoding="utf-8"))


def _last(lines: str) -> str:
    return (lines.strip().splitlines() or ["no output"])[-1]
