"""Talking to an object store by way of fsspec, which is imported with the first address that is not a local path.

What fails for a while (503 SlowDown, a connection that breaks) is tried again; what stays away ends the run with
:class:`StoreError`, never as a verdict on a video.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tiktokactions.errors import ATTENTION, TiktokactionsError
from tiktokactions.machine import NO_SPACE
from tiktokactions.records import JsonObject

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

S3, GCS = ("s3", "s3a"), ("gs", "gcs")
EXTRAS = dict.fromkeys(S3, "s3") | dict.fromkeys(GCS, "gcs")
TRIES, GCS_TRIES = 6, 3
"""How often an operation is begun. Within each, s3fs and gcsfs try again on their own, gcsfs for half a minute."""
FIRST_WAIT_S = 0.5
_NOWHERE = logging.NullHandler()

Result = TypeVar("Result")


class StoreError(TiktokactionsError, RuntimeError):
    """An object store that cannot be used: it does not answer, refuses the key, or its package is missing."""

    exit_code = ATTENTION


def filesystem(url: str) -> AbstractFileSystem:
    """fsspec keeps one instance for each process and set of options."""
    protocol = url.partition("://")[0]
    options: JsonObject = {"use_listings_cache": False}
    if protocol in S3:
        retries = {"mode": "standard", "max_attempts": 2}
        options["config_kwargs"] = {"connect_timeout": 10, "read_timeout": 60, "retries": retries}
    try:
        if protocol in GCS:
            return _google_filesystem(options)
        import fsspec

        return fsspec.filesystem(protocol, **options)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        how = f"pip install 'tiktokactions[{extra}]'" if extra else f"pip install the fsspec package for {protocol}://"
        raise StoreError(f"{url}: this needs a package that is missing ({error}): {how}") from error
    except ValueError as error:
        raise StoreError(f"{url}: no such kind of store ({error}); expected s3://, gs:// or a local path") from error


def _google_filesystem(options: JsonObject) -> AbstractFileSystem:
    # Not the class that fsspec knows as gs://, which asks by gRPC first what kind every bucket is.
    from aiohttp import ClientTimeout
    from fsspec.config import conf
    from gcsfs.core import GCSFileSystem

    # Google's packages log what they are about to raise. StoreError says it once, without a traceback.
    for name in ("gcsfs", "google.auth"):
        logging.getLogger(name).addHandler(_NOWHERE)
    # gcsfs itself would wait forever for a store that takes a connection and never answers.
    options["requests_timeout"] = ClientTimeout(total=None, sock_connect=10, sock_read=60)
    if not any("token" in conf.get(protocol, {}) for protocol in GCS):  # FSSPEC_GS_TOKEN=anon reads public buckets
        # Left to itself gcsfs asks the metadata server for minutes, and then goes on as nobody. Emulators know no one.
        emulated = os.environ.get("STORAGE_EMULATOR_HOST", "default") not in ("", "default")
        options["token"] = "anon" if emulated else "google_default"
    return GCSFileSystem(**options)


def steady(what: str, action: Callable[[], Result]) -> Result:
    """``action()``, begun again after a wait where the store failed in a way that passes.

    Raises:
        FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError: as the store said.
        OSError: the local disk is full.
        StoreError: it failed every time, or there are no credentials.
    """
    protocol = what.partition("://")[0]
    passing = _passing_errors(protocol)
    tries = min(TRIES, GCS_TRIES) if protocol in GCS else TRIES
    for attempt in range(tries):
        try:
            return action()
        except (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError):
            raise
        except passing as error:
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise
            if (lasting := _lasting(what, error)) is not None:
                raise lasting from error
            if attempt == tries - 1:
                raise StoreError(
                    f"{what}: the store failed {tries} times, the last time with: {str(error) or type(error).__name__}."
                    " Everything finished is kept; run the same command again when it answers."
                ) from error
            time.sleep(FIRST_WAIT_S * 2**attempt * random.uniform(0.5, 1.0))
    raise AssertionError("unreachable")


def _lasting(what: str, error: BaseException) -> Exception | None:
    """What to raise at once, because trying again would not help; None if it may."""
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
        return StoreError(
            f"{what}: no credentials for this store ({error}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " AWS_PROFILE, or the role of this machine"
        )
    if what.partition("://")[0] not in GCS:
        return None
    # gcsfs has classes of its own for little: codes and beginnings of messages are what tells its errors apart.
    code, said = str(getattr(error, "code", "")), " ".join(str(error).split())
    if kind in ("DefaultCredentialsError", "NonRetryableError", "MalformedError", "RefreshError") or code == "401":
        return StoreError(
            f"{what}: no credentials that this store takes ({said}); set GOOGLE_APPLICATION_CREDENTIALS to a key file,"
            " run 'gcloud auth application-default login', or use the service account of this machine;"
            " a public bucket is read with FSSPEC_GS_TOKEN=anon"
        )
    if type(error) is OSError and said.startswith("Forbidden"):
        return PermissionError(errno.EACCES, said, what)
    refused = said.startswith(("Bad Request", "Bucket is requester pays"))
    if refused or (kind == "HttpError" and code.startswith("4") and code not in ("408", "429")):
        return StoreError(f"{what}: the store refuses this ({said}); check the names of bucket and folder")
    return None


@functools.cache
def _passing_errors(protocol: str) -> tuple[type[BaseException], ...]:
    errors: tuple[type[BaseException], ...] = (OSError, TimeoutError)
    if protocol in S3:
        with contextlib.suppress(ImportError):
            from botocore.exceptions import BotoCoreError, ClientError

            errors += (BotoCoreError, ClientError)
    if protocol in GCS:
        with contextlib.suppress(ImportError):
            from gcsfs.retry import HttpError as GoogleError
            from gcsfs.retry import NonRetryableError
            from google.auth.exceptions import GoogleAuthError

            errors += (GoogleError, NonRetryableError, GoogleAuthError, ValueError)  # ValueError: how it says 400
    with contextlib.suppress(ImportError):
        from aiohttp import ClientError as HttpError

        errors += (HttpError,)
    return errors
