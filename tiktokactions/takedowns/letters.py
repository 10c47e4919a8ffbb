"""The answer to a notice, in plain words; people read it over before they send it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tiktokactions.takedowns.notices import Notice

KINDS = {"media": "source files", "made of it": "entries in what was made of them"}
"""Kinds of what was removed, where people outside need other words."""


def letter(
    notice: Notice,
    videos: Mapping[str, str],
    before: Sequence[str],
    unknown: Sequence[str],
    counts: Sequence[Mapping[str, int]],
    left: Sequence[str],
    at: str,
    contact: str,
) -> str:
    """Args:
    videos: those that were taken down, and by what the notice names them.
    before, unknown: ids that went earlier, and of which nothing is held.
    counts: how much of each kind went, by folder.
    left: what could not be removed by the program.
    """
    totals = sum((Counter(one) for one in counts), Counter[str]())
    totals.pop("statistics, figures, card", None)
    kinds = [f"{count} {KINDS.get(name, name)}" for name, count in totals.items() if count]
    weights = [line for line in left if "trained on them" in line]
    others = [line for line in left if "trained on them" not in line and "make it again" not in line]
    lines = [f"To: {notice.sender}"] if notice.sender else []
    lines += [f"Subject: Re: {notice.subject}" if notice.subject else "Subject: your notice", ""]
    lines += [
        f"We received your notice{f' of {notice.date}' if notice.date else ''}. On {at[:10]} we did the following.",
        "",
    ]
    if videos:
        lines += [f"We removed {len(videos)} videos from our collections and data sets:"]
        lines += [f"  {video_id}: found by {by}" for video_id, by in videos.items()]
        lines += ["", f"In all, these went: {', '.join(kinds)}.", ""]
    if before:
        lines += [f"These had been removed before: {', '.join(before)}.", ""]
    if unknown:
        lines += [f"Of these we hold nothing: {', '.join(unknown)}. We looked at ids, names of files and source paths."]
        lines += ["They are kept out from now on.", ""]
    if notice.unclear:
        lines += [f"We could not tell which videos these mean: {', '.join(notice.unclear)}."]
        lines += ["Please send us, as text, the long address of each video, which has its number.", ""]
    if weights:
        lines += [f"{len(weights)} trained models had seen some of these videos. Their weights are as they were."]
        lines += ["[Say here whether you will train them again or delete them.]", ""]
    if others:
        lines += [f"{len(others)} places need work by hand: [say here which, and by when you will have done it]", ""]
    if videos or before or unknown:
        lines += ["We keep the ids, the date and the reason, a checksum of the files, and numbers by which copies are"]
        lines += ["recognised, so that the videos do not come back. No picture can be made of these numbers.", ""]
    lines += [f"SHA-256 of your notice as we read it: {notice.sha256}", *([f"Contact: {contact}"] if contact else [])]
    return "\n".join(lines) + "\n"
