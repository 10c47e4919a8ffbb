"""Benchmarks: one command each, against a named peer in the same run, results dated and with the machine they came from."""
