"""Run the package's command line so that it ends with what started it: ``python -m tiktokactions.study.child``.

A killed study, or a killed project, must not leave trainings behind that hold their run folders, or the next start would run
into them.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys

PARENT = "TIKTOKACTIONS_PARENT"
"""The process number of the study or project."""
MODULE = "TIKTOKACTIONS_MODULE"
"""What is run instead of the command line, such as torchrun's module."""


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone; elsewhere it goes on until it is done."""
    if sys.platform.startswith("linux"):
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


if __name__ == "__main__":
    die_with_parent()
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
        sys.exit(130)  # the parent ended before this process could watch it
    sys.argv[0] = module = os.environ.pop(MODULE, "tiktokactions")
    runpy.run_module(module, run_name="__main__", alter_sys=True)
