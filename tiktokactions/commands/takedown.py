"""The take-down desk: a rights-holder's notice becomes a take-down, an answer, and a signed report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiktokactions.collection.store import is_collection
from tiktokactions.commands.options import AnyPath, AnyPaths, on_disk, path_list
from tiktokactions.commands.refresh import RefreshResult, refresh
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.publisher import read_publisher
from tiktokactions.dataset.subset_mark import parent_of
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, disk_errors, located, write_atomic, write_json
from tiktokactions.machine import tell, utc_now
from tiktokactions.records import JsonObject
from tiktokactions.takedowns.folders import adopt, elsewhere, held_in, is_dataset_folder, made_of, takedowns_of
from tiktokactions.takedowns.letters import letter
from tiktokactions.takedowns.links import linked_group
from tiktokactions.takedowns.notices import UNREAD, Notice, held_by_name, read_notice
from tiktokactions.takedowns.reports import signature
from tiktokactions.takedowns.requests import copies_in, ids_of_creator
from tiktokactions.takedowns.scrub import Names


@dataclass(frozen=True)
class TakedownResult:
    """What a notice asked for, and what was done."""

    notice: str
    videos: dict[str, str]
    """The videos that are held, or were made something of, and by what the notice names them."""
    held: dict[str, int]
    """How many of them each folder holds, and what was made of it: rows, lines, files."""
    before: tuple[str, ...]
    """Named ids that had been taken down earlier."""
    unknown: tuple[str, ...]
    """Named ids of which nothing is held, after everything was looked at."""
    mentioned: dict[str, int]
    """Accounts that are named but not to ask for all of their videos, and how many others of theirs are held; without
    those of which none is."""
    unclear: tuple[str, ...]
    """Links that do not say which video they show, and attachments that cannot be read."""
    copies: tuple[str, ...]
    """Videos that show the same footage as these; they go with ``copies``."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Of what was made of a folder: what it is, and of which day."""
    is_done: bool = False
    removed: tuple[RefreshResult, ...] = ()
    letter: str = ""
    report: str = ""
    attention: tuple[str, ...] = field(default=())


def takedown(
    datasets: AnyPaths,
    *,
    notice: AnyPath,
    output: AnyPath | None = None,
    copies: bool = False,
    also: AnyPaths = (),
    yes: bool = False,
) -> TakedownResult:
    """Do what a rights-holder's notice asks for: show what would go and where it went, take it down, answer.

    Without ``yes`` a question is asked on a terminal; elsewhere nothing is changed. Every named id stays out from then on,
    held or not.

    Args:
        datasets: datasets and collections; folders linked with them, and what was made of them, are included.
        notice: a mail, a table or a text with links, ids, accounts, names of files or titles.
        output: folder for the answer (``answer.txt``) and the signed report (``report.json``) (default: beside the notice,
            named after it).
        copies: also take down videos that show the same footage under other ids.
        also: places where what was made of the first dataset lies by now: exports, runs, copies that were moved. They are
            remembered.
        yes: ask nothing.

    Raises:
        UsageError: neither a dataset nor a collection, or a notice that names nothing.
        DatasetBusyError: another command writes to a folder.

    Example:
        tiktokactions takedown data/ --notice notice.txt --yes
    """
    folders = [parent_of(located(path)).absolute() for path in path_list(datasets)]
    for folder in folders:
        if is_dataset_folder(folder):
            Dataset(folder)  # refuses one of a newer program
        elif not is_collection(folder):
            raise UsageError(
                f"{folder}: expected a dataset or a collection (no dataset.json, no collection.sqlite there)"
            )
    if not folders:
        raise UsageError("no dataset given: expected the folders that the notice is about")
    path = on_disk(notice, "a notice")
    with disk_errors():
        for place in path_list(also):
            adopt(folders[0], located(place).absolute())
        said = read_notice(path)
        found = _found(said, folders)
        if copies:
            found = replace(found, videos=found.videos | dict.fromkeys(found.copies, "the same footage"), copies=())
        if not (found.videos or found.before or found.unknown):
            return replace(found, attention=(*_doubts(found), f"{path}: names no video, or none that is held"))
        if not yes and not _agreed(found):
            return replace(found, attention=(*_doubts(found), "nothing was changed; give `yes` to take it down"))
        return _do(said, found, folders, path, None if output is None else on_disk(output, "an answer"))


def _found(said: Notice, folders: Sequence[Place]) -> TakedownResult:
    """What the notice asks for, compared with what is held."""
    groups = list(_groups(folders))
    ids: dict[str, str] = dict.fromkeys(said.ids, "its link or id")
    for folder in (folder for group in groups for folder in group):
        ids = {one.video_id: one.by for one in held_by_name(folder, said)} | ids
    accounts = (*said.accounts, *(() if ids else said.profiles))
    for name in accounts:
        for group in groups:
            ids = dict.fromkeys(sorted(ids_of_creator(group, name)), f"the account @{name}") | ids
    held: dict[str, int] = {}
    kinds: dict[str, str] = {}
    theirs = set[str]()
    for folder in dict.fromkeys(folder for group in groups for folder in group):
        here = held_in(folder, [*ids])
        theirs |= here
        held |= {str(folder): len(here)} if here else {}
        held |= elsewhere(folder, Names(frozenset(ids))) if here else {}
        kinds |= made_of(folder)
    dead = {i for group in groups for folder in group for i in takedowns_of(folder)}
    return TakedownResult(
        said.name,
        {i: by for i, by in ids.items() if i in theirs},
        held,
        before=tuple(i for i in ids if i in dead and i not in theirs),
        unknown=tuple(i for i in ids if i not in dead and i not in theirs),
        mentioned={
            name: count
            for name in (*said.mentioned, *set(said.profiles).difference(accounts))
            if (count := len({i for group in groups for i in ids_of_creator(group, name)} - ids.keys()))
        },
        unclear=said.unclear,
        kinds={place: kinds[place] for place in held if place in kinds},
        copies=tuple(
            sorted({i for group in groups for folder in group for i in copies_in(folder, theirs)} - ids.keys())
        ),
    )


def _groups(folders: Iterable[Place]) -> Iterator[list[Place]]:
    """Each folder with those that are linked with it; one that came with an earlier folder is left out."""
    seen = set[str]()
    for folder in folders:
        if str(folder) not in seen:
            group = linked_group(folder)[0]
            seen.update(map(str, group))
            yield group


def _agreed(found: TakedownResult) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    for line in lines_of(found):
        tell(line)
    print(f"Take down {len(found.videos)} videos? [y/N]", end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def lines_of(found: TakedownResult) -> list[str]:
    """What would go, or went, and where it was."""
    lines = [f"{found.notice}: {len(found.videos)} videos"]
    lines += [f"  {video_id}  ({by})" for video_id, by in [*found.videos.items()][:50]]
    lines += [f"  ... and {len(found.videos) - 50} more"] if len(found.videos) > 50 else []
    kinds = {place: f" ({kind})" for place, kind in found.kinds.items()}
    lines += [f"  in {place}{kinds.get(place, '')}: {count}" for place, count in found.held.items()]
    lines += [f"  taken down before: {' '.join(found.before[:20])}"] if found.before else []
    lines += [f"  not held: {' '.join(found.unknown[:20])}"] if found.unknown else []
    return lines


def _doubts(found: TakedownResult) -> list[str]:
    lines = [
        f"{what}: not understood; {'read it' if what.startswith(UNREAD) else 'ask for the long address of the video'}"
        for what in found.unclear
    ]
    names = [f"@{name} ({count} videos)" for name, count in found.mentioned.items()]
    if names:
        lines.append(
            f"named, but not for all of their videos: {', '.join(names)}; 'refresh' with `creator` takes all down"
        )
    if found.copies:
        lines.append(f"show the same footage, and stay without `copies`: {' '.join(found.copies[:20])}")
    return lines


def _do(
    said: Notice, found: TakedownResult, folders: Sequence[Place], path: Path, output: Path | None
) -> TakedownResult:
    reason = f"notice {said.name} (sha256 {said.sha256[:16]})"
    ids = [*found.videos, *found.before, *found.unknown]
    done: list[RefreshResult] = []
    for group in list(_groups(folders)):
        done.append(refresh(str(group[0]), remove=ids, reason=reason))
    reports = [one.report for result in done for one in result.removed]
    answer = path.with_suffix(".answer.txt") if output is None else output / "answer.txt"
    signed = path.with_suffix(".report.json") if output is None else output / "report.json"
    left = [line for result in done for line in result.attention]
    at, contact = utc_now(), next(filter(None, (read_publisher(folder).contact for folder in folders)), "")
    told: JsonObject = {"format": 1, "at": at, "notice": said.name, "notice_sha256": said.sha256}
    told |= {"ids": sorted(found.videos), "before": sorted(found.before), "unknown": sorted(found.unknown)}
    told |= {"reports": [{"path": one, "sha256": _seal_of(one)} for one in reports], "left": left}
    answer.parent.mkdir(parents=True, exist_ok=True)
    write_json(signed, told | {"sha256": signature(told)})
    counts = [one.artefacts for result in done for one in result.removed]
    write_atomic(
        answer, letter(said, found.videos, [*found.before], [*found.unknown], counts, left, at, contact).encode()
    )
    attention = (*_doubts(found), *left)
    return replace(
        found, is_done=True, removed=tuple(done), letter=str(answer), report=str(signed), attention=attention
    )


def _seal_of(report: str) -> str:
    from tiktokactions.takedowns.reports import signed

    return str(signed(located(report))["sha256"])
