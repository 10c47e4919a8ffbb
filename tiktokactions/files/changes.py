"""The one door through which files that others read are changed: written, moved into place, deleted."""

from __future__ import annotations

from pathlib import Path


def about_to_change(path: Path) -> None:
    """Called before each change takes effect. Does nothing; tests put something here that ends the process."""


def delete(path: Path) -> bool:
    """Delete a file; whether there was one. A store is asked first, since it does not say."""
    if not path.is_file():
        return False
    about_to_change(path)
    path.unlink(missing_ok=True)
    return True
