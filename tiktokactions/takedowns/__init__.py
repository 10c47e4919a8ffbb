"""Take-down: a video or a creator goes from everything that is held."""
