"""The old name of :mod:`tiktokactions.commands`; it goes with the next release."""

from tiktokactions.commands import *  # noqa: F403
