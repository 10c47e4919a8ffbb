"""People decide. Here their answers come from a file, as an outside crowd would send them; ``review(...)`` opens the page."""

import csv
import sys
from pathlib import Path

import pyarrow.parquet as pq

import tiktokactions as ta

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    rows = pq.read_table(folder / "data" / "manifest.parquet", columns=["video_id"]).to_pylist()
    with (folder / "answers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "reviewer", "verdict"])
        writer.writerow([rows[0]["video_id"], "ann", "accept"])

    print(ta.review_import(folder / "data", folder / "answers.csv"))
    applied = ta.review_apply(folder / "data")
    print(f"{applied.accepted} accepted, {applied.needs_review} to review")
