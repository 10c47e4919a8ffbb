"""Each command as one plain function, in the file that bears its name. What spans rooms is composed here.

``tiktokactions`` itself exports them all: ``from tiktokactions import curate``.
"""
