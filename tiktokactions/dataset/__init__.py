"""The dataset as a whole: manifest, near-duplicates, statistics, figures, card, verification."""
