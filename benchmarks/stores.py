"""What a dataset on an object store costs in requests: each is counted by an S3 server on loopback.

    python -m benchmarks.stores                            (500 and 1,000 records)
    python -m benchmarks.stores --records 300              (a smoke test: prints, writes no result)

The records are those of ``benchmarks.dataset_scale``, first laid out as earlier versions did, one object each; the videos
lie on a disk. The added video is one that cannot be decoded, so the three objects of a good one (a clip and two thumbnails)
come on top, and so does the listing of videos that lie on a store: one request for each thousand. Every command runs in
its own process, so nothing is at hand that an earlier one fetched.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.dataset_scale import build
from benchmarks.report import environment, print_environment, print_table, write_result
from tests.stores import Store, running_store
from tiktokactions.files.objects import ObjectPath

RECORDS_IN_FULL = (500, 1_000)


@dataclass(frozen=True)
class Counted:
    command: str
    records: int
    """In the dataset."""
    requests: int
    for_records: int
    """Of these, for what lies below ``records/``, and listings, whatever they were for."""
    get: int
    put: int
    other: int


def count(store: Store, command: str, records: int, *arguments: str) -> Counted:
    """Run one command of the program in its own process."""
    store.asked.clear()
    ended = subprocess.run(
        [sys.executable, "-m", "tiktokactions", "curate", *arguments], capture_output=True, text=True
    )
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"{command}: ended with {ended.returncode}: {ended.stderr[-800:]}")
    methods = Counter(method for method, _ in store.asked)
    ours = sum("/records" in path or path.count("/") == 1 for _, path in store.asked)
    rest = len(store.asked) - methods["GET"] - methods["PUT"]
    return Counted(command, records, len(store.asked), ours, methods["GET"], methods["PUT"], rest)


def measure(store: Store, records: int, folder: Path) -> list[Counted]:
    made = build(folder, records)
    bucket = store.make_bucket(f"scale-{records}")
    for path in (p for p in made.folder.rglob("*") if p.is_file()):
        (ObjectPath(bucket) / "data" / path.relative_to(made.folder).as_posix()).write_bytes(path.read_bytes())
    dataset = f"{bucket}/data"
    again = (str(made.videos), "-o", dataset, "--workers", "1")
    counted = [
        count(store, "curate, first settling of a dataset of before", records, *again),
        count(store, "curate, nothing to do", records, *again),
    ]
    (made.videos / "new.mp4").write_bytes(b"no video, but new")
    return [
        *counted,
        count(store, "curate, one video added", records, *again),
        count(store, "curate --redecide, nothing changed", records, dataset, "--redecide"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=RECORDS_IN_FULL)
    options = parser.parse_args()
    facts = environment()
    print_environment(facts)
    counted: list[Counted] = []
    with running_store() as store, tempfile.TemporaryDirectory(prefix="stores-") as name:
        os.environ |= {"AWS_ENDPOINT_URL": store.url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        for records in options.records:
            print(f"{records:,} records", file=sys.stderr)
            counted += measure(store, records, Path(name) / str(records))
    headers = ("command", "records", "requests", "for records and listings", "GET", "PUT", "other")
    print_table("requests", headers, [tuple(asdict(row).values()) for row in counted])
    if tuple(options.records) == RECORDS_IN_FULL:
        print("\n", write_result("stores", {"counted": [asdict(row) for row in counted]}, facts))


if __name__ == "__main__":
    main()
