"""What the program says before the first download, and what the user must confirm once."""

from __future__ import annotations

TERMS = """\
Downloading is not part of the Research API: the API gives metadata, no files.
- TikTok's user terms, as quoted in public projects in August 2026, forbid extracting content with automated software that
  TikTok does not provide or has not approved in writing.
- The terms of the Research tools, as summarised in 2025, also name collecting by scraping or any means other than the API.
You need a legal basis of your own (written permission, a text-and-data-mining exception that covers you, an ethics board),
and you must delete what is deleted there (tiktokactions refresh). Read the current texts: www.tiktok.com/legal
This is not legal advice; docs/ethics.md says what to settle first."""
"""Facts and sources: docs/collect.md."""
ASK = (
    "If you are entitled to download these videos, say so once with `entitled` (kept in the collection with the date)."
)
