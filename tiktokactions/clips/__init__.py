"""Clips: what training reads, of our datasets and of benchmarks, and the cache of stored ones."""
