"""How many videos a target needs, from the accuracies that were measured; the paper's answer, and what can be said."""

import sys
from pathlib import Path

import tiktokactions as ta

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    points = ((1000, 0.741), (2000, 0.836), (3000, 0.894), (4000, 0.916), (5000, 0.909), (6000, 0.932))
    (folder / "results.csv").write_text("size,accuracy\n" + "".join(f"{s},{a}\n" for s, a in points))
    print(ta.extrapolate(folder / "results.csv", folder / "extrapolation", targets=(0.95,)).sentence)
