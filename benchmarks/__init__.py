"""Benchmarks: one command each, against a named peer in the same run; results are dated and name their machine."""
