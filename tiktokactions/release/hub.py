"""A release on the Hugging Face hub: what is not there yet goes up, what is no longer in the release goes away."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import SUMS, read_sums

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FILES_A_COMMIT, BYTES_A_COMMIT = 500, 2_000_000_000
LAST = ("manifest.parquet", "croissant.json", "README.md", SUMS)
"""What describes the others goes up after them."""


class HubError(TiktokactionsError, RuntimeError):
    """The hub refused, or cannot be reached; running the same command again goes on."""


def require_hub(repo: str) -> None:
    """Raises ``UsageError`` where nothing could be pushed: before hours of work, not after."""
    user, _, name = repo.partition("/")
    if not user or not name or "/" in name:
        raise UsageError(f"`push`: got {repo!r}, expected user/name as on the hub")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UsageError("`push` needs huggingface_hub: pip install 'tiktokactions[hub]'")
    if os.environ.get("TIKTOKACTIONS_OFFLINE", "") not in ("", "0"):
        raise UsageError("`push`: TIKTOKACTIONS_OFFLINE forbids it; unset it, or leave `push` out")


def push(out: Path, repo: str, *, private: bool, gated: bool, report: Callable[[str], None]) -> str:
    """Make the dataset repository ``user/name`` hold a finished release and nothing else; its address.

    Files are compared by checksum, so a push that was cut short goes on, and a repeated one does nothing. Git keeps what went
    away in its history.

    Raises:
        HubError: the hub refused, or cannot be reached.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi()
    try:
        address = str(api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True))
        if gated:
            api.update_repo_settings(repo, repo_type="dataset", gated="manual")
        _make_equal(api, out, repo, report)
    except (httpx.TransportError, OfflineModeIsEnabled, LocalTokenNotFoundError, HfHubHTTPError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HubError(
            f"{repo}: not pushed: {why}. The release in {out} is finished; log in with 'hf auth login' or see to the"
            " network, and run the same command again: it goes on where it stopped"
        ) from error
    return address


def _make_equal(api: HfApi, out: Path, repo: str, report: Callable[[str], None]) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

    sums = read_sums(out)
    assert sums is not None, "only finished releases are pushed"
    there = {
        file.path: file.lfs.sha256 if file.lfs else file.blob_id
        for file in api.list_repo_tree(repo, repo_type="dataset", recursive=True)
        if isinstance(file, RepoFile)
    }
    wanted = {name: known[-1] for name, known in sums.items()} | {SUMS: ""}
    new = [
        name for name in wanted if there.get(name) not in (wanted[name] or "-", _blob_id(out / name, there.get(name)))
    ]
    new.sort(key=lambda name: (LAST.index(name) + 1 if name in LAST else 0, name))
    gone = sorted(set(there) - set(wanted) - {".gitattributes"})
    done = 0
    for batch in _batches(out, new):
        adds = [CommitOperationAdd(name, out / name) for name in batch]
        api.create_commit(repo, adds, commit_message=f"{len(batch)} files", repo_type="dataset")
        done += len(batch)
        report(f"{done:,} of {len(new):,} files pushed")
    for first in range(0, len(gone), FILES_A_COMMIT):
        deletes = [CommitOperationDelete(name) for name in gone[first : first + FILES_A_COMMIT]]
        api.create_commit(repo, deletes, commit_message="what is no longer in the release", repo_type="dataset")


def _batches(out: Path, names: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size_bytes = 0
    for name in names:
        size = (out / name).stat().st_size
        if batch and (len(batch) == FILES_A_COMMIT or size_bytes + size > BYTES_A_COMMIT):
            yield batch
            batch, size_bytes = [], 0
        batch.append(name)
        size_bytes += size
    if batch:
        yield batch


def _blob_id(path: Path, known: str | None) -> str:
    """Git's own checksum, by which the hub knows small files; not computed where the hub knows a SHA-256 or nothing."""
    if known is None or len(known) != 40:
        return ""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
