"""Release: what leaves a dataset and comes back: exports, subsets, merges, differences, datasets made again from ids."""
