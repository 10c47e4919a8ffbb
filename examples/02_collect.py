"""From hashtags to metadata. ``sandbox=True`` rehearses with a local server; without it the real API is asked (your key)."""

import sys
from datetime import date
from pathlib import Path

import tiktokactions as ta

folder = Path(sys.argv[1])
period = {"start": date(2024, 1, 1), "end": date(2024, 2, 29)}

(folder / "few.csv").write_text("hashtag\nwaltz\nshoerepair\n")
ta.collect_run(folder / "few.csv", folder / "collection", per_hashtag=10, sandbox=True, report=print, **period)
for tag in ta.collect_status(folder / "collection").hashtags:
    print(f"#{tag.hashtag}: {tag.found} of {tag.wanted} {tag.shortfall}")
