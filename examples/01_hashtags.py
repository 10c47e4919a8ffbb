"""From class names to hashtags: propose by the paper's principles, decide by views, and see one hashtag's story."""

import sys
from pathlib import Path

import tiktokactions as ta

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
(folder / "views.csv").write_text("hashtag,views\npiano,44.4B\nplayingpiano,29.4M\n")

ta.hashtags_propose(["ucf101", "hmdb51"], folder / "candidates.csv")
selection = ta.hashtags_select(folder / "candidates.csv", folder / "hashtags", views=folder / "views.csv", target=20)
for name, count in selection.steps:
    print(f"{count:5d}  {name}")
print("\n".join(ta.hashtags_explain("playingpiano", folder / "hashtags" / "decisions.csv")))
