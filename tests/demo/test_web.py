"""The demo page without a server: written to a folder, and computing in a real browser what Python computes."""

import dataclasses
import functools
import json
import os
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import onnxruntime
import pytest
from commands import jaxfer
from demo_page import BOXES, CARDS, SENTENCES

from jaxfer.demo import export_web
from jaxfer.demo.web import COMMANDS, FILES
from jaxfer.errors import UserError
from jaxfer.inference import load_model

REAL = os.environ.get("ONNXRUNTIME_WEB")
"""A folder with the files of onnxruntime-web, 14 MB; without it ONNX Runtime for Python computes for the page."""

IMITATED = """
export const env = { wasm: {} };
export class Tensor {
  constructor(type, data, dims) { Object.assign(this, { type, data, dims }); }
}
export const InferenceSession = {
  async create(file) {
    const ask = async (path, options) => (await fetch(path, options)).json();
    const { inputs, outputs } = await ask(`run/${file}`);
    const run = async (feeds) => {
      const { data, dims } = feeds[inputs[0]];
      const values = await ask(`run/${file}?dims=${dims}`, { method: "POST", body: data });
      return Object.fromEntries(values.map((value, i) => [outputs[i], { data: Float32Array.from(value) }]));
    };
    return { inputNames: inputs, outputNames: outputs, run };
  },
};
"""


class Host(SimpleHTTPRequestHandler):
    """Serves a folder, and runs the files of ONNX in it for `IMITATED`."""

    def do_GET(self):
        if not self.path.startswith("/run/"):
            return super().do_GET()
        session = self.session()
        names = {"inputs": session.get_inputs(), "outputs": session.get_outputs()}
        return self.say({what: [one.name for one in values] for what, values in names.items()})

    def do_POST(self):
        session = self.session()
        [given] = session.get_inputs()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        dims = [int(side) for side in parse_qs(urlsplit(self.path).query)["dims"][0].split(",")]
        images = np.frombuffer(content, {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[given.type])
        self.say([value.ravel().tolist() for value in session.run(None, {given.name: images.reshape(dims)})])

    def session(self):
        return session_of(Path(self.directory) / Path(urlsplit(self.path).path).name)

    def say(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@functools.cache
def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = export_web(load_model("small"), tmp_path_factory.mktemp("web") / "site", "small")
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "model.onnx", "yunet.onnx"]
    for name in FILES if REAL else ():
        shutil.copy(Path(REAL) / name, folder)
    if not REAL:
        (folder / "ort.wasm.min.mjs").write_text(IMITATED)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=str(folder))) as host:
        thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{host.server_address[1]}/"
        host.shutdown()
        thread.join()


def look(browser, file):
    browser.choose("input", file)
    browser.wait_for("photographs.length && photographs.at(-1).answer && true")
    return browser.run("photographs.at(-1).answer")


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.parametrize("name", ["group.jpg", "one.png"])
def test_the_page_finds_and_names_the_faces_that_python_finds(browser, address, predictor, files, name):
    browser.open(address, width=1280)
    found, expected = look(browser, files / name), predictor(files / name)
    assert len(found["faces"]) == len(expected) == {"group.jpg": 6, "one.png": 1}[name]
    for face in expected:
        near = min(found["faces"], key=lambda one: np.abs(np.subtract(one["box"], face.box)).sum())
        np.testing.assert_allclose(near["box"], face.box, atol=1)
        np.testing.assert_allclose(near["landmarks"], face.landmarks, atol=1)
        assert near["label"] == face.label
        np.testing.assert_allclose([*near["probabilities"].values()], [*face.probabilities.values()], atol=0.1)
        assert sum(near["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert len(browser.run(BOXES)) == len(expected)
    assert browser.run("document.querySelectorAll('.ask').length") == 0  # a file of ONNX has no gradients
    assert browser.complaints == []


@pytest.mark.browser
def test_the_page_watches_a_camera_and_says_what_is_no_picture(browser, address, files):
    browser.open(address, width=390, dark=True)
    browser.choose("input", files / "damaged.jpg", files / "words.txt")
    browser.wait_for("document.querySelectorAll('.message p').length === 2")
    assert all("cannot be looked at: not an image" in sentence for sentence in browser.run(SENTENCES))
    browser.run("document.querySelector('.camera').click()")
    browser.wait_for(f"{CARDS}.join() === 'happy'")
    browser.wait_for("!document.querySelector('.pace').hidden")
    assert browser.run("document.querySelector('.face-card .number').textContent") == "1"
    browser.run("document.querySelector('.camera').click()")
    assert browser.complaints == []


@pytest.mark.browser
def test_a_picture_is_shown_as_its_faces_were_found(browser, address, files):
    browser.open(address, width=1280)
    browser.run("""{
      const { createObjectURL } = URL;
      globalThis.kinds = new Map();
      URL.createObjectURL = (blob) => {
        const address = createObjectURL(blob);
        kinds.set(address, blob.type);
        return address;
      };
    }""")
    [face] = look(browser, files / "moving.gif")["faces"]
    assert face["label"] == "happy"
    browser.wait_for("image.naturalWidth === 320")
    assert browser.run("kinds.get(image.src)") == "image/jpeg"  # which does not move
    assert browser.complaints == []


@pytest.mark.browser
def test_a_page_that_no_server_serves_says_so(browser, folder, files):
    browser.open(folder / "index.html", width=1280)
    browser.choose("input", files / "one.png")
    [sentence] = browser.wait_for(f"{SENTENCES}.length && {SENTENCES}")
    assert sentence.startswith("Browsers let no file compute: serve its folder")


@pytest.mark.browser
def test_the_page_says_what_it_needs_where_that_is_not_there(browser, folder, address, files):
    missing = folder / "ort.wasm.min.mjs"
    aside = missing.rename(folder / "aside")
    try:
        browser.open(address, width=1280)
        browser.choose("input", files / "one.png")
        [sentence] = browser.wait_for(f"{SENTENCES}.length && {SENTENCES}")
        assert sentence.startswith("What this page computes with cannot be loaded")
        assert browser.run("document.querySelector('.runtime').innerText").endswith(COMMANDS)
    finally:
        aside.rename(missing)


def test_the_policy_of_the_page_names_its_script_and_lets_nothing_else_in(folder):
    page = (folder / "index.html").read_text()
    policy = re.search('http-equiv="Content-Security-Policy" content="(.*?)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'" in policy
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}


def test_a_folder_that_is_there_and_a_model_without_framing_are_refused(folder):
    model = load_model("small")
    with pytest.raises(UserError, match="exists: name a folder that does not"):
        export_web(model, folder, "small")
    with pytest.raises(UserError, match="does not say how its training images frame faces"):
        export_web(dataclasses.replace(model, framing=None), folder.with_name("other"), "small")
    assert not folder.with_name("other").exists()


def test_the_command_writes_the_page_and_says_what_it_needs(tmp_path, capsys):
    assert jaxfer("export", "small", tmp_path / "site", "--format", "web") == 0
    assert (tmp_path / "site" / "index.html").is_file()
    assert f"cd {tmp_path / 'site'}\n{COMMANDS}" in capsys.readouterr().out
