"""Turn hashtags and raw social video into a human-action dataset, train a video model on it, and learn how much is enough."""

__version__ = "0.1.0"
