"""Checksums of files."""

from __future__ import annotations

import hashlib
import os

from tiktokactions.files.places import Place, local_file


def sha256_file(path: str | os.PathLike[str] | Place) -> str:
    with local_file(path) as local, local.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
