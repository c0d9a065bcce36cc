"""The page on which a network is tried: it asks a server on this machine, or computes in the browser itself."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from jaxfer.inference import faces
from jaxfer.inference.framing import ENLARGED, Framing
from jaxfer.inference.model import FaceModel, is_shipped
from jaxfer.inference.predictor import Face, Predictor
from jaxfer.inference.tracks import GAP
from jaxfer.inference.video import SMOOTH
from jaxfer.reports import html
from jaxfer.reports.words import printable

SIDE = 256
"""Pixels of the pictures that explain a face."""

MOST_BYTES, MOST_PIXELS = 2**26, 2**26
"""Bytes and pixels of a photograph that the page takes which computes in the browser."""

SHOWN = 2560
"""Pixels of the longer side of a picture that is drawn anew to be shown, at most."""

SERVER, BROWSER = "demo_server.js", "demo_onnx.js"
"""What the page asks: a server on this machine, or the network in the browser itself."""

OWN = ("base-uri 'none'", "form-action 'none'")
"""What no page needs, and so forbids itself."""


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
        self.content = _page(SERVER, predictor.model, settings, name).encode()
        self.policy = "; ".join([*_policy(SERVER), "frame-ancestors 'none'"])


def web_page(model: FaceModel, framing: Framing, name: str, commands: str) -> str:
    """Return the page that computes in the browser, by onnxruntime-web.

    Args:
        model: The network, which lies beside the page as `model.onnx`, and the detector as `yunet.onnx`.
        framing: How its training images frame faces.
        name: What the network is called.
        commands: Lines for a terminal that put what it computes with beside it.
    """
    settings = {
        "names": [printable(name) for name in model.names()],
        "mostBytes": MOST_BYTES,
        "mostPixels": MOST_PIXELS,
        "shown": SHOWN,
        "side": model.image_size,
        "framing": {"box": framing.box, "landmarks": framing.landmarks},
        "detector": {
            "large": faces.LARGE,
            "sides": faces.SIDES,
            "long": faces.LONG,
            "smallest": faces.SMALLEST,
            "least": faces.LEAST,
            "room": faces.ROOM,
            "confident": faces.CONFIDENT,
            "same": faces.SAME,
            "enlarged": ENLARGED,
        },
        "tracks": {"gap": GAP, "smooth": SMOOTH},
    }
    policy = "; ".join(_policy(BROWSER, "'self' 'wasm-unsafe-eval'"))
    return _page(BROWSER, model, settings, name, policy, commands)


def _page(
    engine: str, model: FaceModel, settings: dict[str, Any], name: str, policy: str = "", commands: str = ""
) -> str:
    return html.render(
        "demo.html.jinja",
        engine=engine,
        settings=settings,
        name=name,
        is_shipped=is_shipped(model),
        policy=policy,
        commands=commands,
    )


def _policy(engine: str, scripts: str = "") -> list[str]:
    """Return what a page may load: its own script and style, and nothing from another address."""
    return [
        "default-src 'none'",
        f"script-src {_digest(html.render('demo.js', engine=engine))} {scripts}".strip(),
        f"style-src {_digest(html.render('demo.css'))}",
        "img-src blob: data:",
        "connect-src 'self'",
        *OWN,
    ]


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


def upright(predictor: Predictor, picture: bytes) -> dict[str, str]:
    """Return the address of a picture as its boxes count it, turned and without motion, for JSON.

    Args:
        predictor: What has found its faces.
        picture: The content of its file.

    Raises:
        UserError: It cannot be read.
    """
    return {"picture": html.picture(predictor.upright(picture), SHOWN)}


def _digest(text: str) -> str:
    """Return how a policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
