"""What a disk refuses: no space, no permission. Both are for a person to put right, so both become errors of the family."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from tiktokactions.errors import AccessError, DiskFullError, TiktokactionsError
from tiktokactions.files.changes import clear_staging
from tiktokactions.files.places import Place
from tiktokactions.machine import NO_SPACE

NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextlib.contextmanager
def disk_errors(written_to: Place | None = None) -> Iterator[None]:
    """Around everything that reads or writes files. Half-written files in the dataset ``written_to`` are removed in any case
    but a bug.

    Raises:
        DiskFullError: no space left; what was finished is kept.
        AccessError: the operating system refuses a file or folder.
    """
    try:
        yield
    except TiktokactionsError:
        raise
    except OSError as error:
        if error.errno not in NO_SPACE | NO_ACCESS:
            raise
        refused = f"{error.filename or written_to or 'the disk'}: {os.strerror(error.errno or 0)}."
        if error.errno in NO_ACCESS:
            raise AccessError(f"{refused} Allow it for this user, or name another place.") from error
        if written_to is not None:
            clear_staging(written_to)
            refused = f"{written_to}: {os.strerror(error.errno or 0)}."
        raise DiskFullError(
            f"{refused} Everything finished so far is kept and no half-written file is left; make room and run the same"
            " command again."
        ) from error
    if written_to is not None:
        clear_staging(written_to)
