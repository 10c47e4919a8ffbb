"""One self-contained HTML page about datasets, runs, studies and what they came from."""
