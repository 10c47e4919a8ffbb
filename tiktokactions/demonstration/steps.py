"""The steps of the demonstration, in their order."""

STEPS = ("curate", "review", "release", "learn", "study", "extrapolate", "report")
