"""Projects: one file from hashtags to report; what of it is done, what changed since, and what it took."""
