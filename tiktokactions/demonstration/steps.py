"""The steps of the demonstration, in their order."""

SHORT = ("curate", "review", "release", "train", "extrapolate", "report")
"""What the demonstration does unless asked for more: under four minutes on two cores."""
FULL = ("curate", "review", "release", "learn", "study", "extrapolate", "report")
"""Everything: ``learn`` replaces the brief ``train`` by pre-training, fine-tuning and a comparison with random weights."""
STEPS = ("curate", "review", "release", "train", "learn", "study", "extrapolate", "report")
