"""The server of the page on which a network is tried: for this machine alone, with the standard library alone."""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from collections import OrderedDict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import numpy as np

from jaxfer.errors import UserError
from jaxfer.inference.predictor import Predictor
from jaxfer.inference.tracks import Tracks
from jaxfer.inference.video import SMOOTH
from jaxfer.reports.demo_page import ServerPage, explanation, upright

HOST = "127.0.0.1"
"""The address that is listened on: no other machine reaches it."""

NAMES = ("127.0.0.1", "localhost")
"""What a browser on this machine may call it; a name that somebody else's DNS made up is none of these."""

MOST_BYTES = 2**26
"""Bytes of a photograph that are taken, at most."""

PATIENCE = 30
"""Seconds until a connection on which nothing comes is closed."""

CAMERAS = 16
"""Pages whose faces are followed at a time; of more, the one that asked longest ago is forgotten."""

GROUPS = 1, 4, 8
"""Numbers of faces that the network is compiled for before they are seen: those that are computed at once on a CPU."""

FAILED = "jaxfer failed at this picture, and the terminal that it runs in says where"
"""What the page is told of an error of jaxfer itself."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class DemoServer(ThreadingHTTPServer):
    """Serves the page, and answers what it asks; it listens from the start, and `serve_forever` answers.

    Requests come in a thread each, and the network answers them one at a time.

    Args:
        predictor: What finds the faces and asks the network.
        name: What the page calls the network.
        port: The port of this machine to listen on; 0 takes a free one.

    Raises:
        UserError: The port is taken or not to be had.
    """

    daemon_threads = True

    def __init__(self, predictor: Predictor, name: str, port: int) -> None:
        if not 0 <= port < 2**16:
            raise UserError(f"port is {port}: pass one from 1024 to 65535, or 0 for a free one")
        self.page = ServerPage(predictor, name, MOST_BYTES)
        self._predictor = predictor
        self._lock = Lock()
        self._has_ended = False
        self._cameras: OrderedDict[str, Tracks] = OrderedDict()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            advice = "pass another one, or 0 for a free one"
            raise UserError(f"port {port} cannot be listened on ({error.strerror}): {advice}") from error

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def warm_up(self) -> None:
        """Compile the network for few faces and for many, while nobody waits, or while whoever comes waits a little."""
        size = self._predictor.model.image_size
        for count in GROUPS:
            with self._lock:
                if self._has_ended:
                    return
                self._predictor.classify(np.zeros((count, size, size, 3), np.uint8))

    def finish(self) -> None:
        """Stop listening; an answer under way is waited for, so that none is cut off inside of the network."""
        self.server_close()
        self._has_ended = True
        self._lock.acquire()

    def faces(self, picture: bytes, camera: str | None) -> dict[str, Any]:
        """Return the faces in a picture, or its problem, for JSON.

        Args:
            picture: The content of a file of any known format.
            camera: By what a page calls its camera: its faces are followed from picture to picture. None for a
                photograph.
        """
        with self._lock:
            [found] = self._predictor.batch([picture])
            if found.problem:
                return {"problem": found.problem}
            faces = found.faces if camera is None else self._tracks(camera).follow(found.faces, time.monotonic())
        return {"size": found.size, "faces": [face.to_dict() for face in faces]}

    def explanation(self, picture: bytes, index: int) -> dict[str, Any]:
        """Return what the network was shown of a face and what of it spoke for its label, for JSON.

        Args:
            picture: As for `faces`.
            index: Which face, from 0 in the order of `faces`.
        """
        with self._lock:
            faces = self._predictor(picture)
            if not 0 <= index < len(faces):
                return {"problem": "the face is not found again"}
            return explanation(self._predictor, picture, faces[index])

    def upright(self, picture: bytes) -> dict[str, Any]:
        """Return a picture as its boxes count it, turned and without motion, in a format of all browsers, for JSON.

        Args:
            picture: As for `faces`.
        """
        with self._lock:
            return upright(self._predictor, picture)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a page that was closed while it waited, or of a connection that fell silent."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def _tracks(self, camera: str) -> Tracks:
        tracks = self._cameras.pop(camera, None) or Tracks(SMOOTH)
        self._cameras[camera] = tracks
        if len(self._cameras) > CAMERAS:
            self._cameras.popitem(last=False)
        return tracks


class _Refused(Exception):
    """A request that is not answered: with which status, and why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: DemoServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"  # the pictures of a camera come over one connection
    disable_nagle_algorithm = True  # else a small answer waits for the browser to confirm its headers
    timeout = PATIENCE
    server_version, sys_version = "jaxfer", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing of what was asked: what people look at is theirs."""

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _answer(self, answer: Any) -> None:
        try:
            host = self._said_once("Host")
            if re.sub(r":\d+$", "", host) not in NAMES:
                raise _Refused(HTTPStatus.FORBIDDEN, f"this is {self.server.address}, and nothing by another name")
            answer(host)
        except _Refused as refused:
            self.close_connection = True  # what else comes on it is not read
            self._send(refused.status, "text/plain; charset=utf-8", str(refused).encode())

    def _said_once(self, header: str) -> str:
        """Return what a header says, "" where there is none; of several it could be any, and so none is believed."""
        values = self.headers.get_all(header, [])
        if len(values) > 1:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"say {header} once")
        return "".join(values)

    def _asked(self) -> SplitResult:
        try:
            return urlsplit(self.path)
        except ValueError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "what is asked for is no address") from error

    def _get(self, host: str) -> None:
        if self._asked().path != "/":
            raise _Refused(HTTPStatus.NOT_FOUND, "there is one page, /")
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body, which is not read, would be taken for the next request
        page = self.server.page
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.content, {"Content-Security-Policy": page.policy})

    def _post(self, host: str) -> None:
        if self._said_once("Origin") != f"http://{host}":
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself may ask")
        asked = self._asked()
        said = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        if asked.path == "/faces":
            camera = said.get("camera")
            if camera is not None and not re.fullmatch(r"[\w-]{1,64}", camera):
                raise _Refused(HTTPStatus.BAD_REQUEST, "a camera is called by at most 64 letters, digits and dashes")
            found = self._or_problem(lambda picture: self.server.faces(picture, camera))
        elif asked.path == "/upright":
            found = self._or_problem(self.server.upright)
        elif asked.path == "/explanation":
            index = said.get("face", "")
            if not re.fullmatch(r"[0-9]{1,6}", index):
                raise _Refused(HTTPStatus.BAD_REQUEST, "face is to be its number, from 0")
            found = self._or_problem(lambda picture: self.server.explanation(picture, int(index)))
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "pictures are sent to /faces, /upright or /explanation")
        self._send(HTTPStatus.OK, "application/json", json.dumps(found).encode())

    def _or_problem(self, answer: Any) -> dict[str, Any]:
        picture = self._body()
        try:
            return answer(picture)
        except UserError as error:
            return {"problem": str(error)}
        except Exception:  # whoever looks at the page is told as well as whoever looks at the terminal
            traceback.print_exc()
            raise _Refused(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED) from None

    def _body(self) -> bytes:
        length = self._said_once("Content-Length")
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"[0-9]{1,18}", length):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "say by Content-Length how many bytes come")
        if int(length) > MOST_BYTES:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{MOST_BYTES:,} bytes are taken at most")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the page left while it was sending")
        return body

    def _send(self, status: HTTPStatus, kind: str, content: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
