"""What the tests of the demo page show to a browser, and the browser, one for all of them."""

import io

import numpy as np
import pytest
from browser import Browser
from photographs import group_picture
from PIL import Image
from videos import moving

from jaxfer.inference import Predictor

HAPPY = 1
ORIENTATION = 0x0112
CAMERA = 640, 480


@pytest.fixture(scope="package")
def predictor():
    return Predictor.load()


@pytest.fixture(scope="package")
def files(tmp_path_factory):
    """Return photographs with six faces, with one and with none, what is none, and what a camera sees."""
    folder = tmp_path_factory.mktemp("files")
    # Faces of which the network says the same where their frames are a pixel elsewhere, as a browser may find them.
    group, _ = group_picture(10, np.array([0, 1, 2, 3, 6, 1], np.int32))
    group.save(folder / "group.jpg", quality=92)
    [one] = moving([HAPPY], lambda _: [(110, 120, 150)], 1)
    Image.fromarray(one).save(folder / "one.png")
    # A browser shows these in another way than jaxfer reads them: lying on its side, moving, or not at all.
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    Image.fromarray(one).transpose(Image.Transpose.ROTATE_90).save(folder / "turned.webp", exif=turned)
    moves = [Image.new("RGB", one.shape[1::-1], "teal")]
    Image.fromarray(one).save(folder / "moving.gif", save_all=True, append_images=moves, duration=100, loop=0)
    Image.fromarray(one).save(folder / "one.tiff")
    Image.new("RGB", (320, 240), "teal").save(folder / "none.png")
    (folder / "damaged.jpg").write_bytes((folder / "group.jpg").read_bytes()[:3000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "words.txt").write_text("no picture")
    # JPEGs one after another are a video, which plays as what the camera sees, again and again.
    seen = io.BytesIO()
    for picture in moving([HAPPY], lambda i: [(100 + i, 120, 150)], 8):
        Image.fromarray(picture).resize(CAMERA).save(seen, "JPEG", quality=92)
    (folder / "camera.mjpeg").write_bytes(seen.getvalue())
    return folder


@pytest.fixture(scope="module")  # and no longer: its camera goes on
def browser(files):
    camera = "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"
    with Browser(*camera, f"--use-file-for-fake-video-capture={files / 'camera.mjpeg'}") as browser:
        yield browser
