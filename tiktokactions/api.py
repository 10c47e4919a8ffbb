"""The old name of :mod:`tiktokactions` for callers in Python; it goes with the next release."""

import warnings

import tiktokactions
from tiktokactions import __all__ as __all__


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"tiktokactions.api.{name} is now tiktokactions.{name}: import tiktokactions as ta",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(tiktokactions, name)
