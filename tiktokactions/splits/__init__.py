"""Splits: sides and folds without leaks, and whether foreign videos are among what is trained on."""
