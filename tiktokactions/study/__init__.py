"""How much data is enough: subsets, scaling runs, comparison of sources, extrapolation and its uncertainty."""
