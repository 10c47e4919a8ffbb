"""Hashtags: which ones stand for which human actions (paper, section 3.2)."""
