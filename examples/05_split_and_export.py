"""Sides without leaks, a smaller set that is chosen well, and forms that other programs read."""

import sys
from pathlib import Path

import tiktokactions as ta

folder = Path(sys.argv[1])
report = ta.dataset_split(folder / "data", train=0.5, val=0, test=0.5)
print(report.sides, report.moved)
print(ta.dataset_subset(folder / "data", folder / "subset", by="balanced", size=2).labels)
for name in ("kinetics", "webdataset", "ids"):
    print(ta.dataset_export(folder / "data", folder / "exports" / name, format=name))
