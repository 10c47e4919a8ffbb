"""Numbers and times as people read them, for the templates."""

from __future__ import annotations

from collections.abc import Callable


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.0f} %"


def two_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def moment(utc: str | None) -> str:
    """``2026-11-26 23:59`` of an ISO time stamp."""
    return "never" if not utc else utc[:16].replace("T", " ")


def plain(reason: str) -> str:
    return reason.partition(":")[0].replace("_", " ")


def count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


FILTERS: dict[str, Callable[..., str]] = {
    formatted.__name__: formatted for formatted in (percent, two_digits, seconds, moment, plain, count)
}
