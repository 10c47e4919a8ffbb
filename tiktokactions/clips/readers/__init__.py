"""One small file per layout that clips are read from. Each has ``is_here(path)``, ``read(request)``, ``has_side``."""
