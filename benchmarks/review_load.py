"""Fifty people judge at once, each a video a second, with a hundred thousand in the queue; then the server is killed.

    python -m benchmarks.review_load                                   (100,000 records, 60 s)
    python -m benchmarks.review_load --records 2000 --seconds 10       (a smoke test: prints, writes no result)
    python -m benchmarks.review_load --gallery                         (300,000 records: pages of the gallery, no judging)

The reviewers are threads of this process, each with an invitation and a connection of its own to a server on loopback,
which runs as ``tiktokactions review`` does. At the end the server is killed with SIGKILL while they are at work: every
decision that was answered must be in ``reviews.sqlite``, none twice, and no video may have more judgements than asked for.

``--gallery`` asks the same server for the gallery's pages as a browser does, one after the other, each filter and order.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import random
import re
import secrets
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.curation.decide import decide
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.info import new_info, write_info
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.files import record_path
from tiktokactions.records import (
    DetectorInfo,
    Motion,
    PersonBox,
    Probe,
    Quality,
    Sample,
    Scene,
    Source,
    VideoRecord,
    encode_record,
)
from tiktokactions.reviews.people import invite
from tiktokactions.reviews.store import Store, set_setting

RECORDS, REVIEWERS, SECONDS, EVERY_S, PER_VIDEO = 100_000, 50, 60.0, 1.0, 2
GALLERY_RECORDS = 300_000
SETTINGS = CurateOptions(detector="none", person_score=0.5, keep_duplicates=True)
DETECTOR = DetectorInfo("yolox-nano", "0" * 64, 0.5)


@dataclass
class Reviewer:
    """One scripted person: what was sent and answered, and how long each answer took."""

    token: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    answer_ms: list[float] = field(default_factory=list)
    next_ms: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


# --- a dataset without videos ----------------------------------------------------------------------------------------


def build(folder: Path, records: int, mixed: bool = False) -> None:
    """Records in which people were seen in too few frames, and the manifest. ``mixed``: others too, a tenth too short."""
    template = _record()
    made = []
    for number in range(records):
        path = f"/nowhere/{number:06}.mp4"
        label = f"hashtag{number % 386:03}"
        people, score = (11, 0.5 + number % 499 / 1000) if mixed else (4, 0.9)
        seen = tuple(
            Sample(i / 2, i * 15, (PersonBox((10.0, 10.0, 50.0, 150.0), score if i < number % people else 0.2),))
            for i in range(10)
        )
        source = Source(path=path, labels={path: (label,)}, title=f"video {number}")
        video_id = hashlib.sha256(path.encode()).hexdigest()[:16]
        scenes = (Scene(0.0, 2.0, 0, 60),) if mixed and number % 10 == 9 else template.scenes
        record = replace(template, video_id=video_id, samples=seen, scenes=scenes).with_source(source)
        record = decide(record, SETTINGS)
        file = record_path(folder, video_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_record(record))
        made.append(record)
    write_manifest(folder, made, SETTINGS)
    write_info(folder, replace(new_info(folder, SETTINGS, DETECTOR), settled=True))


def _record() -> VideoRecord:
    probe = Probe(
        container="mp4", codec="h264", pixel_format="yuv420p", width=240, height=320, coded_width=240, coded_height=320,
        rotation=0, sample_aspect_ratio="1", fps=30.0, fps_exact="30", variable_frame_rate=False,
        timestamps_repaired=False, duration_s=6.0, duration_s_from_header=None, frames=180, frames_from_header=None,
        corrupt_frames=0, start_s=0.0, bit_rate=None, has_audio=False,
    )  # fmt: skip
    return VideoRecord(
        video_id="",
        source=Source(path=""),
        probe=probe,
        scenes=(Scene(0.0, 6.0, 0, 180),),
        longest_scene=0,
        motion=Motion((1.0,) * 6, "AAAA" * 128, 1.0),
        quality=Quality(0.0, (0.0, 0.0, 0.0, 0.0), 100.0, 100.0, "portrait"),
        detector=DETECTOR,
    )


# --- people ----------------------------------------------------------------------------------------------------------


def judge(person: Reviewer, port: int, begin: float, until: float, seed: int) -> None:
    """Ask for videos, answer one a second, until the time is over or the server is gone."""
    luck = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    due = begin + luck.random() * EVERY_S
    waiting: list[dict[str, Any]] = []

    def post(path: str, body: dict[str, Any]) -> tuple[float, Any]:
        started = time.perf_counter()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {person.token}"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        data = json.loads(answer.read())
        if answer.status != 200:
            raise ValueError(f"{path}: {answer.status} {data}")
        return (time.perf_counter() - started) * 1000, data

    try:
        while time.monotonic() < until:
            if not waiting:
                waiting = post("/api/next", {"count": 3})[1]["items"]
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + EVERY_S, time.monotonic())
            video_id, key = waiting.pop(0)["video_id"], secrets.token_hex(8)
            person.sent[key] = video_id
            verdict = luck.choice(("accept", "reject", "reject"))
            took_ms, answer = post("/api/decisions", {"client_key": key, "video_id": video_id, "verdict": verdict})
            person.acknowledged[key] = answer["video_id"]
            person.answer_ms.append(took_ms)
            took_ms, more = post("/api/next", {"count": 3, "exclude": [item["video_id"] for item in waiting]})
            person.next_ms.append(took_ms)
            waiting += [item for item in more["items"] if item["video_id"] not in {w["video_id"] for w in waiting}]
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() < until:
            person.problems.append(repr(error)[:300])
    finally:
        connection.close()


def run(folder: Path, reviewers: int, seconds: float) -> dict[str, Any]:
    """Start the server, let everybody judge, kill it, and compare what was answered with what is on the disk."""
    store = Store(folder)
    set_setting(store, "reviewers_per_video", PER_VIDEO)
    people = [Reviewer(invite(store, f"reviewer {n}")[1]) for n in range(reviewers)]
    store.close()
    command = [sys.executable, "-m", "tiktokactions", "review", str(folder), "--port", "0"]
    started = time.perf_counter()
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert server.stderr is not None
        port = next(int(found[1]) for line in server.stderr if (found := re.search(r"http://[^:]+:(\d+)/", line)))
        start_s = time.perf_counter() - started
        begin = time.monotonic() + 1
        until = begin + seconds
        threads = [
            threading.Thread(target=judge, args=(person, port, begin, until, n)) for n, person in enumerate(people)
        ]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, until - time.monotonic()))
        server.send_signal(signal.SIGKILL)  # while decisions are under way
        for thread in threads:
            thread.join(60)
    finally:
        server.kill()
        server.wait()
        if server.stderr is not None:
            server.stderr.close()
    return {"start_s": round(start_s, 1)} | _compared(folder, people)


def browse(folder: Path) -> dict[str, Any]:
    """Seconds until the server listens, without an index and with one, and milliseconds for each page of the gallery."""
    token = secrets.token_urlsafe(24)
    found: dict[str, Any] = {}
    for start in ("index_built_s", "index_opened_s"):
        command = [sys.executable, "-m", "tiktokactions", "review", str(folder), "--port", "0", "--owner-token", token]
        started = time.perf_counter()
        server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            assert server.stderr is not None
            port = next(int(said[1]) for line in server.stderr if (said := re.search(r"http://[^:]+:(\d+)/", line)))
            found[start] = round(time.perf_counter() - started, 1)
            if start == "index_opened_s":
                found["pages_ms"] = _pages(port, token)
        finally:
            server.kill()
            server.wait()
            if server.stderr is not None:
                server.stderr.close()
    return found


FILTERS = (
    *("", "status=accepted", "status=needs_review", "status=rejected", "label=hashtag007", "score_min=0.9"),
    *(
        "score_max=0.55",
        "order=-score",
        "order=duration",
        "status=accepted&order=-score",
        "status=rejected&order=score",
    ),
    *("label=hashtag007&status=accepted", "label=hashtag007&order=-score", "text=video+123456", "text=nowhere"),
    *("text=nothing+has+this", "reason=too_short", "judged=no", "judged=yes", "score_min=0.7&score_max=0.71&order=id"),
    *("status=accepted&score_min=0.95", "label=hashtag007&text=video+7", "reason=too_short&order=-score"),
)


def _pages(port: int, token: str) -> dict[str, float]:
    """The first page, the second, and the last one of every filter, as HTML."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(address: str) -> tuple[float, str]:
        started = time.perf_counter()
        connection.request("GET", address, headers={"Authorization": f"Bearer {token}", "Accept": "text/html"})
        answer = connection.getresponse()
        page = answer.read().decode()
        if answer.status != 200:
            raise ValueError(f"{address}: {answer.status} {page[:300]}")
        return round((time.perf_counter() - started) * 1000, 1), page

    times = {"owner": get("/owner")[0]}
    for query in FILTERS:
        times[f"first {query}"], page = get(f"/gallery?{query}")
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if following:
            times[f"second {query}"], _ = get(following[1].replace("&amp;", "&"))
            times[f"last {query}"], _ = get(f"/gallery?{query}&{_last(query)}")
    connection.close()
    return times


def _last(query: str) -> str:
    """The cursor in front of the end of an order."""
    order = next((part[6:] for part in query.split("&") if part.startswith("order=")), "id")
    value, video_id = (-2.0, "") if order.startswith("-") else (1e9, "~")
    column = {"id": "video_id", "score": "score_key", "duration": "duration_key"}[order.removeprefix("-")]
    return urllib.parse.urlencode({"before": json.dumps([column, value, video_id])})


def _compared(folder: Path, people: list[Reviewer]) -> dict[str, Any]:
    with sqlite3.connect(folder / "reviews.sqlite") as database:
        rows = database.execute("SELECT client_key, video_id, reviewer FROM decisions").fetchall()
    database.close()
    stored = {key: video_id for key, video_id, _ in rows}
    acknowledged = {key: video_id for person in people for key, video_id in person.acknowledged.items()}
    sent = {key: video_id for person in people for key, video_id in person.sent.items()}
    answers = sorted(ms for person in people for ms in person.answer_ms)
    following = sorted(ms for person in people for ms in person.next_ms)
    return {
        "decisions": len(acknowledged),
        "lost": sum(stored.get(key) != video_id for key, video_id in acknowledged.items()),
        "doubled": len(rows) - len({(video_id, who) for _, video_id, who in rows}),
        "unknown": len(set(stored) - set(sent)),
        "judgements_too_many": sum(n > PER_VIDEO for n in Counter(video_id for _, video_id, _ in rows).values()),
        "problems": [problem for person in people for problem in person.problems],
        "answer_ms": _quantiles(answers),
        "next_ms": _quantiles(following),
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {
        "median": round(cuts[49], 2),
        "p95": round(cuts[94], 2),
        "p99": round(cuts[98], 2),
        "max": round(values[-1], 2),
    }


def gallery(records: int, folder: Path | None, facts: dict[str, Any]) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = folder or Path(temporary) / "dataset"
        if not (folder / "manifest.parquet").exists():
            build(folder, records, mixed=True)
        shutil.rmtree(folder / ".review", ignore_errors=True)
        found = browse(folder)
    print_table("Milliseconds for a page", ("page", "ms"), list(found["pages_ms"].items()))
    print(
        f"the index of {records} videos: {found['index_built_s']} s to build, {found['index_opened_s']} s to open again"
    )
    print(f"the slowest page: {max(found['pages_ms'].values())} ms")
    if records >= GALLERY_RECORDS:
        print(write_result("review_gallery", {"settings": {"records": records}, **found}, facts))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int)
    parser.add_argument("--gallery", action="store_true", help="the pages of the gallery instead of judging")
    parser.add_argument(
        "--dataset", type=Path, help="with --gallery: the folder of an earlier run, or for the next one"
    )
    parser.add_argument("--reviewers", type=int, default=REVIEWERS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    facts = environment()
    print_environment(facts)
    if arguments.gallery:
        return gallery(arguments.records or GALLERY_RECORDS, arguments.dataset, facts)
    arguments.records = arguments.records or RECORDS
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "dataset"
        build(folder, arguments.records)
        found = run(folder, arguments.reviewers, arguments.seconds)
    rows = [(name, *found[f"{name}_ms"].values()) for name in ("answer", "next")]
    print_table("Milliseconds", ("", "median", "95 %", "99 %", "most"), rows)
    faults = {name: found[name] for name in ("lost", "doubled", "judgements_too_many")}
    faults["failed requests"] = len(found["problems"])
    print_table("Of all decisions", ("", "number"), [("decisions", found["decisions"]), *faults.items()])
    for problem in found["problems"][:5]:
        print(problem)
    settings = {"records": arguments.records, "reviewers": arguments.reviewers, "seconds": arguments.seconds}
    if arguments.records >= RECORDS:
        print(write_result("review_load", {"settings": settings | {"every_s": EVERY_S}, **found}, facts))
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
