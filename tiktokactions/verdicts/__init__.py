"""Verdicts: what evidence, copies and people together make of every video, and whether the files agree with it."""
