"""The steps of the demonstration, in their order."""

from typing import Literal, get_args

Step = Literal["samples", "curate", "review", "release", "figures", "train", "learn", "study", "extrapolate", "report"]
STEPS: tuple[Step, ...] = get_args(Step)
SHORT: tuple[Step, ...] = ("curate", "review", "release", "train", "extrapolate", "report")
"""What the demonstration does unless asked for more: under four minutes on two cores."""
FULL: tuple[Step, ...] = ("curate", "review", "release", "train", "learn", "study", "extrapolate", "report")
"""Everything: ``learn`` pre-trains and compares with the brief ``train``, which begins with random weights."""
