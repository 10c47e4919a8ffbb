"""The command line over :mod:`tiktokactions.commands`: options, help, progress, exit codes. No logic."""

from tiktokactions.cli.entry import build_parser, main

__all__ = ["build_parser", "main"]
