"""The old name of :mod:`tiktokactions` for callers in Python; it goes with the next release."""

from tiktokactions import *  # noqa: F403
