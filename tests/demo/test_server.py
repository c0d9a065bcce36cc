"""The server of the demo page: who may ask it, how much it takes, and that it answers one at a time."""

import base64
import contextlib
import dataclasses
import hashlib
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from jaxfer.data.synthetic import draw_faces
from jaxfer.demo import DemoServer
from jaxfer.demo.server import CAMERAS, FAILED, MOST_BYTES
from jaxfer.errors import UserError
from jaxfer.inference import Detection, Predictor, save_model
from jaxfer.inference.model import called


@contextlib.contextmanager
def served(predictor):
    with DemoServer(predictor, "small", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.finish()


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(detector="whole")


@pytest.fixture(scope="module")
def server(predictor):
    with served(predictor) as server:
        yield server


@pytest.fixture(scope="module")
def picture():
    return file_of(draw_faces(1, np.array([1]), image_size=128)[0])


def file_of(pixels, kind="PNG"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def ask(server, method, path, body=None, **headers):
    """Return the status, the headers and the content of an answer; a header that is None is not sent."""
    own = f"127.0.0.1:{server.server_address[1]}"
    said = {"Host": own, "Origin": f"http://{own}", "Content-Length": str(len(body or b""))}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=60)
    connection.putrequest(method, path, skip_host=True)
    for name, value in said.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def faces(server, body, path="/faces"):
    status, _, content = ask(server, "POST", path, body)
    assert status == 200
    return json.loads(content)


def test_the_page_needs_nothing_but_itself_and_its_policy_says_so(server):
    status, headers, content = ask(server, "GET", "/")
    page, policy = content.decode(), headers["Content-Security-Policy"]
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        [text] = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}  # no address, but a name
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in headers["Server"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "", None])
def test_by_another_name_there_is_no_page_and_no_answer(server, picture, host):
    assert ask(server, "GET", "/", Host=host)[0] == 403
    assert ask(server, "POST", "/faces", picture, Host=host, Origin=f"http://{host}")[0] == 403


def test_it_may_be_called_localhost_as_through_a_tunnel_from_another_port(server, picture):
    assert ask(server, "GET", "/", Host="localhost:9999")[0] == 200
    assert ask(server, "POST", "/faces", picture, Host="localhost:9999", Origin="http://localhost:9999")[0] == 200


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("path", ["/faces", "/explanation?face=0"])
def test_other_sites_may_not_ask(server, picture, path, origin):
    assert ask(server, "POST", path, picture, Origin=origin)[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/faces", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "http://[/", 400),
        ("POST", "http://[/faces", 400),
        ("POST", "/", 404),
        ("POST", "/faces?camera=a%20b", 400),
        ("POST", "/faces?camera=" + 65 * "a", 400),
        ("POST", "/explanation", 400),
        ("POST", "/explanation?face=-1", 400),
        ("PUT", "/faces", 501),
        ("OPTIONS", "/faces", 501),
    ],
)
def test_what_is_not_offered_is_refused(server, method, path, status):
    assert ask(server, method, path, b"x")[0] == status


def test_the_page_says_how_long_it_is_to_whoever_asks_for_no_more(server):
    [asked, got] = [ask(server, method, "/") for method in ("HEAD", "GET")]
    assert asked[0] == 200
    assert asked[2] == b""
    assert int(asked[1]["Content-Length"]) == len(got[2])
    assert ask(server, "HEAD", "/", Host="evil.example")[0] == 403


@pytest.mark.parametrize("header", ["Host", "Origin", "Content-Length"])
def test_a_header_that_is_said_twice_is_not_believed(server, header):
    own = f"127.0.0.1:{server.server_address[1]}"
    said = {"Host": own, "Origin": f"http://{own}", "Content-Length": "0"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*said.items(), (header, said[header])])
    assert exchanged(server, f"POST /faces HTTP/1.1\r\n{lines}\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_body_of_a_request_that_has_none_is_not_taken_for_the_next_request(server):
    host = f"Host: 127.0.0.1:{server.server_address[1]}\r\n"
    hidden = f"GET /hidden HTTP/1.1\r\n{host}\r\n"
    answered = exchanged(server, f"GET / HTTP/1.1\r\n{host}Content-Length: {len(hidden)}\r\n\r\n{hidden}")
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answered


def exchanged(server, request):
    """Return all that the server answers until it closes the connection."""
    with socket.create_connection(server.server_address[:2], timeout=60) as connection:
        connection.sendall(request.encode())
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # what it did not read is thrown away
            while part := connection.recv(65536):
                answer += part
    return answer


def test_more_bytes_than_are_taken_are_refused_before_they_come(server):
    status, headers, content = ask(server, "POST", "/faces", None, Content_Length=str(MOST_BYTES + 1))
    assert (status, headers["Connection"]) == (413, "close")
    assert f"{MOST_BYTES:,}" in content.decode()
    for length in (None, "-1", "many", "1_0"):
        assert ask(server, "POST", "/faces", None, Content_Length=length)[0] == 411
    assert ask(server, "POST", "/faces", None, Transfer_Encoding="chunked")[0] == 411


def test_a_picture_is_answered_as_the_predictor_answers(server, predictor, picture):
    found = faces(server, picture)
    assert found == {"size": [128, 128], "faces": [face.to_dict() for face in predictor(picture)]}
    assert found["faces"][0]["label"] == "happy"


def test_what_is_no_picture_is_said_and_the_next_is_answered(server, picture):
    bomb = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(bomb, "PNG")
    assert "empty" in faces(server, b"")["problem"]
    assert "not an image" in faces(server, b"GIF or not")["problem"]
    assert faces(server, picture[: len(picture) // 2])["problem"]
    assert "10000 x 10000 pixels" in faces(server, bomb.getvalue())["problem"]
    assert faces(server, b"", "/explanation?face=0")["problem"]
    assert len(faces(server, picture)["faces"]) == 1


def test_the_faces_of_a_camera_are_followed_and_those_of_another_tab_apart(server, picture):
    other = file_of(draw_faces(2, np.array([3]), image_size=128)[0])
    first = faces(server, picture, "/faces?camera=one")["faces"][0]
    mean = faces(server, other, "/faces?camera=one")["faces"][0]
    alone = faces(server, other, "/faces?camera=two")["faces"][0]
    assert first["track"] == mean["track"] == alone["track"] == 1
    between = sorted([first["probabilities"]["happy"], alone["probabilities"]["happy"]])
    assert between[0] < mean["probabilities"]["happy"] < between[1]
    assert "track" not in faces(server, picture)["faces"][0]
    for number in range(CAMERAS):
        faces(server, picture, f"/faces?camera=more-{number}")
    assert faces(server, other, "/faces?camera=one")["faces"][0] == alone  # forgotten, and so a page like any new one


def test_a_face_is_explained(server, picture):
    found = faces(server, picture, "/explanation?face=0")
    assert found["label"] == "happy"
    shown, explained = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(found[name].partition(",")[2]))), float)
        for name in ("shown", "explained")
    )
    assert shown.shape == explained.shape == (256, 256, 3)
    assert abs(shown - explained).mean() > 10
    assert "not found" in faces(server, picture, "/explanation?face=7")["problem"]


def test_a_picture_is_returned_as_its_boxes_count_it(server):
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned to the right by 90 degrees
    content = io.BytesIO()
    Image.new("RGB", (3000, 30), "teal").save(content, "WEBP", exif=turned)
    found = faces(server, content.getvalue(), "/upright")
    upright = Image.open(io.BytesIO(base64.b64decode(found["picture"].partition(",")[2])))
    assert (upright.format, upright.size) == ("JPEG", (26, 2560))
    assert faces(server, b"no picture", "/upright")["problem"]


def test_an_error_of_its_own_is_told_to_the_page_and_in_the_terminal(predictor, picture, capfd):
    def failing(_):
        raise RuntimeError("the detector broke")

    with served(Predictor(predictor.model, detector=failing)) as server:
        status, _, content = ask(server, "POST", "/faces", picture)
        assert (status, content.decode()) == (500, FAILED)
        assert ask(server, "GET", "/")[0] == 200
    assert capfd.readouterr().err.count("RuntimeError: the detector broke") == 1


def test_what_is_said_of_the_network_that_ships_is_said_of_that_one_alone(predictor, tmp_path):
    said = b"This network was trained on"
    with served(predictor) as server:
        assert said in ask(server, "GET", "/")[2]
    # One's own network in a folder of the same name, and the one that ships in another.
    other = save_model(dataclasses.replace(predictor.model, notes={}), tmp_path / "small")
    copied = save_model(predictor.model, tmp_path / "mine")
    for folder, is_shipped in ((other, False), (copied, True)):
        with DemoServer(Predictor.load(folder, detector="whole"), called(folder), 0) as server:
            assert (said in server.page.content) == is_shipped


def test_pages_ask_at_once_and_the_network_answers_one_at_a_time(predictor, picture):
    inside, most = 0, 0

    def find(pixels):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.01)
        inside -= 1
        return [Detection((0, 0, *pixels.shape[1::-1]))]

    with served(Predictor(predictor.model, detector=find)) as server, ThreadPoolExecutor(8) as pages:
        found = list(pages.map(lambda _: faces(server, picture), range(16)))
    assert most == 1
    assert all(one == found[0] for one in found)


def test_a_page_that_leaves_while_it_sends_is_no_matter(server, picture, capfd):
    for content in (b"", picture[:100]):
        with socket.create_connection(server.server_address[:2]) as left:
            own = f"127.0.0.1:{server.server_address[1]}"
            head = f"POST /faces HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\nContent-Length: 5000\r\n\r\n"
            left.sendall(head.encode() + content)
    assert len(faces(server, picture)["faces"]) == 1
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_said_in_a_sentence(server, predictor):
    port = server.server_address[1]
    with pytest.raises(UserError, match=rf"^port {port} cannot be listened on \(.+\): pass another one, or 0"):
        DemoServer(predictor, "small", port)
    with pytest.raises(UserError, match="port is 70000: pass one from"):
        DemoServer(predictor, "small", 70_000)


@pytest.mark.long
def test_the_command_serves_until_it_is_interrupted():
    command = [sys.executable, "-m", "jaxfer", "demo", "--port", "0"]
    # Where the tests run in the background Ctrl-C is ignored, and programs that they start would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        signal.signal(signal.SIGINT, before)
        try:
            assert demo.stdout is not None
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", demo.stdout.readline())[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/")
            assert b"network <b>small</b>" in connection.getresponse().read()
            connection.close()
            demo.send_signal(signal.SIGINT)
            said = demo.communicate(timeout=60)[1]
        finally:
            demo.kill()
    assert demo.returncode == 130
    assert said.splitlines()[-1] == "stopped"
    assert "Traceback" not in said
