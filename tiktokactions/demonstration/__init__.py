"""The demo: sample videos that any machine can get from the package registry, joined as social videos are."""
