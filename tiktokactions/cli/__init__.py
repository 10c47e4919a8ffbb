"""The command line, derived from :mod:`tiktokactions.commands`: help, TOML, progress, exit codes. No logic."""

from tiktokactions.cli.entry import main

__all__ = ["main"]
