"""The page on which a network is tried: it asks a server on this machine, or computes in the browser itself."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from markupsafe import Markup

from jaxfer.inference.model import SHIPPED
from jaxfer.inference.predictor import Face, Predictor
from jaxfer.reports import html
from jaxfer.reports.words import printable

SIDE = 256
"""Pixels of the pictures that explain a face."""


class ServerPage:
    """The page that asks a server.

    Args:
        predictor: What the server asks.
        name: What the network is called.
        most_bytes: Bytes of a photograph that the server takes, at most.

    Attributes:
        content: The page, which needs no other file.
        policy: The Content-Security-Policy to serve it with: its own script and style alone, and no other address.
    """

    def __init__(self, predictor: Predictor, name: str, most_bytes: int) -> None:
        settings = {"names": [printable(name) for name in predictor.names], "mostBytes": most_bytes}
        style, script = html.render("demo.css"), html.render("demo.js", engine="demo_server.js")
        page = html.render(
            "demo.html.jinja",
            style=Markup(style),
            script=Markup(script),
            settings=settings,
            name=name,
            is_shipped=name in SHIPPED,
        )
        self.content = page.encode()
        self.policy = "; ".join(
            [
                "default-src 'none'",
                f"script-src {_digest(script)}",
                f"style-src {_digest(style)}",
                "img-src blob: data:",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        )


def explanation(predictor: Predictor, picture: bytes, face: Face) -> dict[str, Any]:
    """Return a face as the network was shown it, and the same with what spoke for its label, for JSON.

    Args:
        predictor: What has found the face.
        picture: The content of the file that it was found in.
        face: The face.

    Raises:
        UserError: The network cannot be explained.
    """
    from jaxfer.reports.evaluation_faces import overlay  # with Matplotlib, which takes long

    [strength] = predictor.explain([face])
    shown = face.frame.cut(predictor.upright(picture), SIDE)
    pictures = {"shown": shown, "explained": overlay(shown, strength)}
    return {"label": face.label} | {name: html.picture(pixels, SIDE) for name, pixels in pictures.items()}


def _digest(text: str) -> str:
    """Return how a policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
