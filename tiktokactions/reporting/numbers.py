"""How numbers look on the page."""

from __future__ import annotations


def count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def percent(fraction: float | None, digits: int = 1) -> str:
    return "–" if fraction is None else f"{100 * fraction:.{digits}f} %"


def share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "–"


def figure_of(value: float | None) -> str:
    """Four significant digits."""
    return "–" if value is None else f"{value:.4g}"


def within(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A coefficient with its interval, where it has one."""
    if value is None or low is None or high is None:
        return "–" if value is None else f"{value:.2f}"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def hours(value: float) -> str:
    """Hours, or minutes where there is less than one."""
    return f"{value:,.1f} h" if value >= 1 else f"{60 * value:.1f} min"
