"""From videos to a dataset: one decode per video, a reason for everything that was left out."""

import sys
from pathlib import Path

from tiktokactions import curate, dataset_stats

if __name__ == "__main__":  # worker processes import this file again
    folder = Path(sys.argv[1])
    result = curate(folder / "videos", folder / "data")
    print(f"{result.accepted} accepted, {result.needs_review} to review, {result.rejected} rejected")
    for reason, count in dataset_stats(folder / "data").reasons.items():
        print(f"{count:5d}  {reason}")
