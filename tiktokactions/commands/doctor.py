"""Say what is installed, what is missing and how to get it."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from tiktokactions.commands.options import missing_for_training

if TYPE_CHECKING:
    from tiktokactions.curation.people import DetectorStatus


def doctor() -> list[DetectorStatus]:
    """What is installed on this machine, what is missing and how to get it.

    Example:
        tiktokactions doctor
    """
    from tiktokactions.curation.people import DetectorStatus, detector_statuses

    missing = missing_for_training()
    told = f"{' and '.join(missing)} not installed" if missing else f"torch {metadata.version('torch')}"
    training = DetectorStatus("training", not missing, told, "pip install 'tiktokactions[train]'")
    return [*detector_statuses(), training]
