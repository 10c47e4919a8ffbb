"""Copies: videos that show the same pictures, whole or in part."""
