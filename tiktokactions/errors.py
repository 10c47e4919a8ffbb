"""The errors of this package: one family, each with the exit code that a command ends with.

An error of this family is the user's to put right: one line that says what, where, what was expected and what to do next, in
the words of the caller. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

DONE, ATTENTION, USAGE, BUG, INTERRUPTED = 0, 1, 2, 70, 130
"""Exit codes: done; finished or stopped, and something needs attention; bad usage or input; a bug; interrupted."""


class TiktokactionsError(Exception):
    """The base of all errors that a caller may want to catch."""

    exit_code: int = USAGE


class UsageError(TiktokactionsError, ValueError):
    """What was asked for makes no sense as asked; the message says what to do instead."""


class DiskFullError(TiktokactionsError, RuntimeError):
    """The disk is full: the run stopped; everything finished before is kept."""

    exit_code = ATTENTION
