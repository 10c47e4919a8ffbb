"""Collect: metadata from the TikTok Research API, what is downloaded of it, and what must be removed again."""
