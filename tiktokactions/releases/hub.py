"""``push``: a finished release as a data set on the Hugging Face hub, uploaded by the hub's own client.

The gate, the card with its terms and ``release.json`` come before the first clip, so that none lies open meanwhile; with them
goes what the release no longer holds. Killed, the same command goes on: the hub is not sent again what it has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tiktokactions import __version__
from tiktokactions.errors import UsageError
from tiktokactions.files import SUMS, StoreError, read_sums
from tiktokactions.releases.release import KEPT, MARK

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FIRST = ("README.md", MARK)
GIVEN = {".gitattributes", "README.md"}
"""What the hub itself puts into a new data set."""

FORGET = "huggingface_hub's super_squash_history makes it forget them"
REFUSALS = {
    400: "the hub does not accept it",
    401: "the hub does not know your token; sign in with 'hf auth login', or set HF_TOKEN",
    403: "your token may not write there; make one with the permission to write, or choose a name of your own",
    404: "there is no such user or data set, or your token may not see it",
    409: "somebody else changed it meanwhile; run the same command again",
}


@dataclass(frozen=True)
class Pushed:
    url: str
    removed: int
    """Files that went, of an earlier push; commits of before still hold them."""


def check_push(name: str) -> None:
    """Whether a push can begin, before hours of copying.

    Raises:
        UsageError: not a name, the package is missing, or nobody has signed in.
    """
    try:
        from huggingface_hub import get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id
    except ImportError:
        raise UsageError("`push` needs huggingface_hub: pip install 'tiktokactions[hub]'") from None
    try:
        validate_repo_id(name if name.count("/") == 1 else "")
    except HFValidationError:
        raise UsageError(
            f"`push`: got {name!r}, expected user/name of letters, digits and single - _ . between them"
        ) from None
    if not get_token():
        raise UsageError("`push`: no token of the hub; sign in with 'hf auth login', or set HF_TOKEN")


def push_release(out: Path, name: str, *, private: bool, gated: bool) -> Pushed:
    """Bring the data set ``name`` to what the release in ``out`` holds, and compare what lies there then.

    Args:
        private: only its owners see it. False leaves it as it is.
        gated: files are seen by those whom its owners let in. False leaves it as it is.

    Raises:
        UsageError: the hub refuses, or the data set holds what no release wrote.
        StoreError: the hub does not answer, or has not taken everything.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    sums = read_sums(out) or {}
    names = [*sums, SUMS]
    others = [file for file in _files(out) if file not in sums and file != SUMS]
    api = HfApi(library_name="tiktokactions", library_version=__version__)
    where: dict[str, Any] = {"repo_id": name, "repo_type": "dataset"}
    with _told(name):
        url = str(api.create_repo(name, repo_type="dataset", private=private or None, exist_ok=True))
        there = _there(api, name)
        if not (set(there) <= GIVEN or MARK in there):
            raise UsageError(f"`push`: {url} holds files that no release wrote; choose another name")
        if private:
            api.update_repo_settings(**where, private=True)  # it may have been there before
        if gated:
            api.update_repo_settings(**where, gated="manual")
        gone = [path for path in there if path not in names and _is_ours(path)]
        first = [CommitOperationAdd(path, str(out / path)) for path in FIRST]
        removed = [CommitOperationDelete(path) for path in gone]
        api.create_commit(**where, operations=[*first, *removed], commit_message="Release: card")
        ignored = [escape(path) for path in others]
        api.upload_folder(**where, folder_path=out, ignore_patterns=ignored, commit_message="Release")
        there = _there(api, name)
    wrong = [path for path in names if path not in there or there[path] not in (None, *sums.get(path, (there[path],)))]
    if wrong:
        raise StoreError(f"{url}: has not taken {len(wrong):,} files, such as {wrong[0]}; run the same command again")
    return Pushed(url, len(gone))


def _there(api: HfApi, name: str) -> dict[str, str | None]:
    """The files of a data set, with the SHA-256 of those that are large."""
    from huggingface_hub.hf_api import RepoFile

    listed = api.list_repo_tree(name, repo_type="dataset", recursive=True)
    return {entry.path: entry.lfs.sha256 if entry.lfs else None for entry in listed if isinstance(entry, RepoFile)}


def _is_ours(path: str) -> bool:
    return path in KEPT or path.startswith(("data/", "figures/"))


def _files(out: Path) -> list[str]:
    return [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """What the client raises, in one line."""
    from huggingface_hub.errors import HfHubHTTPError

    # The base of its HTTP library, which is another in each major version.
    of_client = cast("type[Exception]", HfHubHTTPError.__bases__[0])
    try:
        yield
    except (of_client, OSError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) else error  # threads wrap what stopped them
        if not isinstance(cause, (of_client, OSError)):
            raise
        answer, said = getattr(cause, "response", None), " ".join(str(cause).split())[:300]
        if answer is None:
            if getattr(cause, "errno", None) is not None and not isinstance(cause, ConnectionError):
                raise  # a file here
            raise StoreError(f"`push`: the hub cannot be reached ({said}); run the same command again") from error
        refused = (
            f"`push`: {name}: {answer.status_code}, {getattr(cause, 'server_message', None) or answer.reason_phrase}"
        )
        if answer.status_code in REFUSALS:
            raise UsageError(f"{refused}: {REFUSALS[answer.status_code]}") from error
        raise StoreError(f"{refused}; run the same command again later") from error
