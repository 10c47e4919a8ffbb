"""The pages where people judge and label clips: server, safety, media, and the shapes of what goes over the wire."""

from __future__ import annotations

from tiktokactions.reviews.web.app import create_app
from tiktokactions.reviews.web.server import serve

__all__ = ["create_app", "serve"]
