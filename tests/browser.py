"""A headless Chromium or Chrome, as far as tests of pages need one, over its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from websocket import create_connection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROGRAM = os.environ.get("CHROME") or next(filter(None, map(shutil.which, NAMES)), None)
"""The browser's program, or None where there is none; the environment variable CHROME names another."""

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
)
_PATIENCE = 60
"""Seconds until a browser that does not answer fails the test."""


class Browser:
    """One page at a time, in a browser with a profile of its own that ends with the `with` block.

    Args:
        more: Options of the browser besides those that every test needs.
    """

    def __init__(self, *more: str) -> None:
        assert PROGRAM is not None
        self._profile = tempfile.TemporaryDirectory(prefix="jaxfer-browser-", ignore_cleanup_errors=True)
        own = ["--remote-debugging-port=0", f"--user-data-dir={self._profile.name}"]
        options = [*_OPTIONS, *own, *more, "about:blank"]
        self._process = subprocess.Popen(
            [PROGRAM, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._socket = create_connection(self._address(), timeout=_PATIENCE, suppress_origin=True)
        self._count, self._session, self._events = 0, "", list[dict[str, Any]]()
        (page,) = (found for found in self._send("Target.getTargets")["targetInfos"] if found["type"] == "page")
        attached = self._send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def open(self, page: Path | str, *, width: int, dark: bool = False, still: bool = False) -> None:
        """Show a file, or what is at an address, in a window of this width, to a reader who prefers light or dark.

        With `still`, the reader prefers pages on which nothing moves.
        """
        narrow = width < 600
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=narrow)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}
        self._send("Emulation.setEmulatedMedia", features=[scheme, motion])
        self._events.clear()
        self._send("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive()

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What the console has shown since the page was opened."""
        self._send("Runtime.evaluate", expression="0")  # what the page did before has been told by then
        shown = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [event["params"] for event in self._events if event["method"] in shown]

    @property
    def cut_off(self) -> list[str]:
        """The captions of tables that are wider than what the window shows of them."""
        boxes = "[...document.querySelectorAll('.scroll')]"
        self.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        wide = "filter(one => one.scrollWidth > one.clientWidth).map(one => one.querySelector('caption').textContent)"
        return self.run(f"{boxes}.{wide}")

    @property
    def spoken(self) -> list[tuple[str, str]]:
        """The role and the name of everything on the page that those who do not see it are told of."""
        nodes = self._send("Accessibility.getFullAXTree")["nodes"]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one["ignored"]]

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files for an `<input type="file">`, as a person does in the window that it opens."""
        document = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def block(self, *patterns: str) -> None:
        """Let no request to these addresses through from now on; without any, let all through again."""
        self._send("Network.enable")
        self._send("Network.setBlockedURLs", urls=list(patterns))
        if not patterns:
            self._send("Network.disable")  # else each request is told here, with all that it sends

    def wait_for(self, script: str, seconds: float = _PATIENCE) -> Any:
        """Return the value of an expression as soon as it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"not within {seconds} s: {script}; complaints: {self.complaints}"
            time.sleep(0.05)
        return value

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        code = {"Enter": 13, "Tab": 9, "Escape": 27}.get(key, 0)
        known = {"key": key, "code": key, "windowsVirtualKeyCode": code} | ({"text": "\r"} if key == "Enter" else {})
        for kind in ("keyDown", "keyUp"):
            self._send("Input.dispatchKeyEvent", type=kind, **known)

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        return base64.b64decode(self._send("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _address(self) -> str:
        """Return where the browser listens, which it says as soon as it does."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("DevTools listening on "):
                return line.split()[-1]
        raise AssertionError(f"{PROGRAM} ended with code {self._process.wait()}")

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while (answer := self._receive()).get("id") != self._count:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        message = json.loads(self._socket.recv())
        if "method" in message:
            self._events.append(message)
        return message

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.communicate(timeout=_PATIENCE)
        self._profile.cleanup()
