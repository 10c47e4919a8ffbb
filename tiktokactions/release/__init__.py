"""Releases and exports (one file per format), hydrate, subset, merge, diff.

``tiktokactions.release`` is a command too. Python binds the name to this room once anything in it is imported, so the room
can be called and is the command then.
"""

import sys
from types import ModuleType


class _Room(ModuleType):
    def __call__(self, *arguments: object, **options: object) -> object:
        from importlib import import_module

        return import_module("tiktokactions.commands.release").release(*arguments, **options)


sys.modules[__name__].__class__ = _Room
