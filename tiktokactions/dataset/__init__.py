"""The dataset as a whole: the noun, its one closing, manifest, history, statistics, figures and card."""
