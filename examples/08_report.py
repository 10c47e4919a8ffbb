"""One page about everything that lies in the folder."""

import sys
from pathlib import Path

import tiktokactions as ta

folder = Path(sys.argv[1])
names = ("hashtags", "collection", "data", "runs/pretrained", "runs/finetuned", "extrapolation")
print(ta.report([folder / name for name in names if (folder / name).is_dir()], folder / "report.html"))
