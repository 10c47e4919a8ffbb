"""Releases and exports (one file per format), hydrate, subset, merge, diff."""
