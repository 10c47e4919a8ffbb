"""From videos to a dataset: one decode per video, a reason for everything that was left out."""

import sys
from pathlib import Path

import tiktokactions as ta

if __name__ == "__main__":  # worker processes import this file again
    folder = Path(sys.argv[1])
    data = ta.curate(folder / "videos", folder / "data")
    print(data.counts)
    for reason, count in data.stats().reasons.items():
        print(f"{count:5d}  {reason}")
