"""What a failed download means: the video is gone for good, another try is worth it, or everything will fail now.

The texts are those of yt-dlp and its TikTok extractor. An unknown text is worth another try; a video is only given up for a
text whose meaning was tested. 'Your IP address is blocked' usually means that the video is gone, but a blocked region gets
the same text: it is ``unavailable``, which is not ``deleted``, and is asked for again by later runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["permanent", "doubtful", "retry", "blocked", "stop"]
"""``permanent``: never tried again. ``doubtful``: permanent once several runs had it while others succeeded. ``retry``: tried
later. ``blocked``: tried later, and many in a row stop the run. ``stop``: nothing can be downloaded until something here
changes."""


@dataclass(frozen=True)
class Failure:
    verdict: Verdict
    kind: str
    """A word for tables: ``deleted``, ``private``, ``photo``, ``age``, ``network``, ``block``, ``extractor`` …"""


_TABLE: tuple[tuple[str, Failure], ...] = (
    (r"Your IP address is blocked|status code 10204", Failure("doubtful", "unavailable")),
    (r"status code 10231", Failure("permanent", "deleted")),
    (r"do not have permission to view this post|status code (10216|10222)", Failure("permanent", "private")),
    (r"may not be comfortable for some audiences", Failure("permanent", "age")),
    (r"/photo/|only sound and pictures", Failure("permanent", "photo")),
    (r"TikTok is requiring login", Failure("blocked", "block")),
    (r"Unable to extract (universal data|challenge data|webpage video data)", Failure("blocked", "extractor")),
    (r"Unexpected response from webpage|Unable to solve JS challenge", Failure("blocked", "extractor")),
    (r"HTTP Error 429", Failure("blocked", "rate limit")),
    (r"HTTP Error 403|web page instead of a video", Failure("blocked", "block")),
    (r"No working app info|[Ii]mpersonat\w+ target", Failure("stop", "set-up")),
    (r"No space left|Disk quota exceeded|Read-only file system", Failure("stop", "disk")),
    (r"Did not get any data blocks|IncompleteRead|[Cc]ontent.?[Tt]oo.?[Ss]hort", Failure("retry", "network")),
    (r"HTTP Error 5\d\d|[Tt]imed? ?out|Connection (reset|refused|aborted)", Failure("retry", "network")),
    (r"Failed to resolve|Remote end closed|Unable to download", Failure("retry", "network")),
    (r"[Nn]etwork is unreachable|SSL", Failure("retry", "network")),
    (r"Requested format is not available|No video formats found|HTTP Error 404", Failure("retry", "format")),
    (r"larger than max-filesize", Failure("permanent", "too large")),
    (r"does not open|shorter than|no video stream", Failure("retry", "damaged")),
)


def classify(text: str) -> Failure:
    """The verdict on the text of a failure: that of the first row of the table that matches."""
    return next((failure for pattern, failure in _TABLE if re.search(pattern, text)), Failure("retry", "unknown"))
