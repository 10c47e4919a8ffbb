"""From videos to a dataset: one decode per video, a reason for everything that was left out."""

import sys
from pathlib import Path

import tiktokactions as ta

if __name__ == "__main__":  # worker processes import this file again
    folder = Path(sys.argv[1])
    stats = ta.curate(folder / "videos", folder / "data").stats()
    print(f"{stats.accepted} accepted, {stats.needs_review} to review, {stats.rejected} rejected")
    for reason, count in stats.reasons.items():
        print(f"{count:5d}  {reason}")
