"""The errors of this package: one family, each with the exit code that a command ends with.

An error of this family is for the caller to put right: one line that says what, where, what was expected and what to do next.
Messages name an option between backticks, in the words of Python (`` `min_clip_s` ``); the command line prints it as it is
typed. Any other exception is a bug and keeps its traceback. The classes of the rooms, by what went wrong (all but those with
a star end a command with exit code 2)::

    TiktokactionsError
    ├── UsageError (ValueError)        what was asked for makes no sense, or a file does not hold what it should
    │   ├── DocumentError              what a tool wrote about videos
    │   ├── InputError, EngineError                    curate
    │   │   └── MissingError *         a list names videos that are not there
    │   ├── ChecksumsError, RangeError, NewerDatasetError   files of a dataset
    │   ├── HashtagError, PlanError, CredentialsError, CollectionError
    │   ├── DataError, MergeError, ExportError, ReleaseError, SubsetError, HistoryError
    │   ├── DecisionError              reviews
    │   │   └── UnknownVideoError
    │   ├── BegunOtherwiseError        the folder holds a run or a study with other settings
    │   │   └── OtherRunError (RunError), OtherStudyError (StudyError)
    │   ├── ProjectError               a project's file
    │   ├── RunError, WeightsError, TooFewClipsError   models
    │   ├── StudyError, ResultsError, ReportError
    │   └── ConfigError                a file for the option `config`
    ├── AccessError (PermissionError)  the operating system refuses a file or folder
    ├── NotFoundError (FileNotFoundError)
    ├── DiskFullError * (RuntimeError)
    ├── StoreError * (RuntimeError)    an object store that cannot be used
    ├── DatasetBusyError (RuntimeError)
    ├── DetectorError (RuntimeError)   no person detector to be had, or one that does not fit
    ├── VideoError                     a video that cannot be used
    ├── UnreadableError (RuntimeError) a clip that training cannot read
    ├── DecoderError (RuntimeError)    the decoder that was chosen cannot be loaded
    ├── NonFiniteLossError * (RuntimeError)
    ├── OutOfMemoryError, ProcessLostError (RuntimeError)   training
    ├── RepairError *                  a repair that would move more than anybody expects
    ├── NotTakenDownError (OSError)    what had to be removed is still there
    ├── ApiError (RuntimeError)        the Research API refused
    │   └── RefusedQueryError
    ├── ServerFailsError * (RuntimeError)
    ├── QuotaSpentError, BudgetSpentError, StoppedError, FetchError (RuntimeError)   collecting
    └── SamplesError, BrowserError, ProxyError (RuntimeError), StepSkippedError       demonstration, review page
"""

from __future__ import annotations

DONE, ATTENTION, USAGE, BUG, INTERRUPTED = 0, 1, 2, 70, 130
"""Exit codes: done; finished or stopped, and something needs attention; bad usage or input; a bug; interrupted."""


class TiktokactionsError(Exception):
    """The base of all errors that a caller may want to catch."""

    exit_code: int = USAGE


class UsageError(TiktokactionsError, ValueError):
    """What was asked for makes no sense as asked; the message says what to do instead."""


class BegunOtherwiseError(UsageError):
    """The folder holds work that was begun with other settings: go on with those, or choose another folder."""


class AccessError(TiktokactionsError, PermissionError):
    """The operating system refuses to read or write a file or folder."""


class NotFoundError(TiktokactionsError, FileNotFoundError):
    """A file or folder that is needed is not there."""


class DiskFullError(TiktokactionsError, RuntimeError):
    """The disk is full: the run stopped; everything finished before is kept."""

    exit_code = ATTENTION
