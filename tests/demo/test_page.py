"""The demo page in a real browser, from a photograph or a camera to boxes, names and bars."""

import threading

import numpy as np
import pytest
from demo_page import BOXES, CARDS, FAINTEST, SENTENCES

from jaxfer.demo import DemoServer

pytestmark = [pytest.mark.long, pytest.mark.browser]

PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def server(predictor):
    with DemoServer(predictor, "small", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.finish()


def opened(browser, server, *, width=DESK, dark=False):
    browser.open(server.address, width=width, dark=dark)


def look(browser, *files):
    """Choose files, and wait until each is answered or complained of."""
    browser.choose("input", *files)
    browser.wait_for(f"photographs.length + document.querySelectorAll('.message p').length === {len(files)}")
    browser.wait_for("photographs.every(one => one.answer)")


def test_a_photograph_gets_a_box_a_name_and_bars_for_every_face(browser, server, predictor, files):
    opened(browser, server)
    look(browser, files / "group.jpg")
    found = predictor(files / "group.jpg")
    assert len(found) == 6
    by_row = sorted(found, key=lambda face: face.box[1])
    found = [face for row in (by_row[:3], by_row[3:]) for face in sorted(row, key=lambda face: face.box[0])]
    expected = [np.array(face.box) / (960, 640, 960, 640) for face in found]
    np.testing.assert_allclose(browser.run(BOXES), expected, atol=2e-3)
    assert browser.run(CARDS) == [face.label for face in found]
    lines = browser.run("[...document.querySelectorAll('.face-card:first-child .bars li')].map(one => one.innerText)")
    said = [line.split() for line in lines]
    assert [name for name, _ in said] == list(found[0].probabilities)
    for (_, share), probability in zip(said, found[0].probabilities.values(), strict=True):
        assert share == ("<1%" if probability < 0.005 else f"{round(100 * probability)}%")
    assert browser.run("document.querySelector('.said').textContent").startswith("group.jpg: 6 faces: 1 ")
    assert browser.run("document.querySelector('.box').ariaLabel").startswith(f"Face 1: {found[0].label} ")
    assert browser.complaints == []


def test_several_photographs_are_turned_to_and_one_without_a_face_says_so(browser, server, files):
    opened(browser, server)
    look(browser, files / "one.png", files / "none.png")
    assert browser.run("[...document.querySelectorAll('.strip img')].map(one => one.alt)") == ["one.png", "none.png"]
    assert browser.run(CARDS) == ["happy"]
    browser.run("document.querySelectorAll('.strip button')[1].click()")
    assert browser.run(CARDS) == []
    assert browser.run("document.querySelector('.none').innerText") == "No face is found in this picture."
    assert browser.run("document.querySelector('.picture img').alt") == "none.png"
    assert browser.complaints == []


def test_faces_are_counted_as_one_reads(browser, server):
    opened(browser, server)
    # Left, top, width and height: a tall person, a child beside, one at the left of both; and below, two in a row.
    boxes = [[200, 10, 40, 50], [260, 40, 20, 25], [90, 20, 40, 50], [220, 120, 60, 70], [120, 130, 30, 40]]
    assert browser.run(f"inReadingOrder({boxes}.map((box, index) => ({{ box, index }}))).map(one => one.index)") == [
        *(2, 0, 1),
        *(4, 3),
    ]
    assert browser.run("inReadingOrder([])") == []


def test_photographs_are_taken_away_by_key_and_the_focus_stays_on_the_page(browser, server, files):
    opened(browser, server)
    look(browser, files / "group.jpg", files / "one.png", files / "none.png")
    browser.run("document.querySelectorAll('.strip button')[1].click()")
    assert browser.run("document.querySelector('.caption .name').textContent") == "one.png"
    browser.run("document.querySelector('.away').focus()")
    assert browser.run("document.activeElement.ariaLabel") == "Take away one.png"
    browser.press("Enter")
    assert browser.run("photographs.map(one => one.name)") == ["group.jpg", "none.png"]
    assert browser.run("document.activeElement.ariaLabel") == "Take away none.png"  # what came after it
    browser.press("Enter")
    browser.press("Enter")
    assert browser.run("[document.body.dataset.state, photographs.length]") == ["empty", 0]
    assert browser.run("document.activeElement.innerText") == "Choose photographs"
    assert browser.run("document.querySelector('.said').textContent").startswith("group.jpg is taken away.")
    look(browser, files / "one.png")  # the page goes on
    assert browser.run(CARDS) == ["happy"]
    assert browser.complaints == []


@pytest.mark.parametrize("name", ["turned.webp", "moving.gif", "one.tiff"])
def test_a_picture_is_shown_as_its_faces_were_found(browser, server, predictor, files, name):
    opened(browser, server)
    look(browser, files / name)
    [face] = predictor(files / name)
    [box] = browser.run(BOXES)
    np.testing.assert_allclose(box, np.array(face.box) / (320, 240, 320, 240), atol=4e-3)
    browser.wait_for("image.naturalWidth")
    assert browser.run("[image.naturalWidth, image.naturalHeight]") == [320, 240]
    assert browser.run("image.src.slice(0, 15)") == "data:image/jpeg"  # of which nothing turns or moves
    assert browser.complaints == []


def test_what_is_no_picture_is_said_in_a_sentence_each_and_the_page_goes_on(browser, server, files):
    opened(browser, server)
    look(browser, files / "damaged.jpg", files / "empty.jpg", files / "words.txt", files / "one.png")
    assert browser.run(CARDS) == ["happy"]
    empty, damaged, words = sorted(browser.run(SENTENCES), key=lambda one: ("empty" not in one, one))
    assert empty == "empty.jpg is empty: choose another one."
    assert damaged.startswith("damaged.jpg cannot be looked at: ")
    assert words == "words.txt cannot be looked at: not an image of a known format. Choose another one."
    browser.run("document.querySelectorAll('.message button').forEach(one => one.click())")
    assert browser.run(SENTENCES) == []
    browser.run("settings.mostBytes = 1000")
    browser.choose("input", files / "group.jpg")
    assert browser.wait_for(SENTENCES) == ["group.jpg has 0 MB, and at most 0 are taken: make it smaller."]
    assert browser.complaints == []


def test_photographs_are_dropped_and_pasted(browser, server, files):
    opened(browser, server)
    content = list((files / "one.png").read_bytes())
    browser.run(f"""{{
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array({content})], 'dropped.png', {{type: 'image/png'}}));
      for (const kind of ['dragenter', 'dragover'])
        document.querySelector('.empty').dispatchEvent(new DragEvent(kind, {{dataTransfer: data, bubbles: true}}));
      globalThis.marked = document.querySelector('.dropping') !== null;
      document.body.dispatchEvent(new DragEvent('drop', {{dataTransfer: data, bubbles: true}}));
    }}""")
    browser.wait_for(f"{CARDS}.join() === 'happy'")
    assert browser.run("[marked, document.querySelector('.dropping') === null]") == [True, True]
    browser.run(f"""{{
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array({content})], '', {{type: 'image/png'}}));
      document.dispatchEvent(new ClipboardEvent('paste', {{clipboardData: data}}));
    }}""")
    browser.wait_for("photographs.length === 2 && photographs[1].answer && true")
    assert browser.run("photographs.map(one => one.name)") == ["dropped.png", "pasted picture"]
    browser.run("document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer()}))")
    assert browser.run(SENTENCES) == ["There is no picture in what was pasted: copy one first."]


def test_a_face_is_explained_by_key_and_by_click(browser, server, files):
    opened(browser, server)
    look(browser, files / "one.png")
    browser.run("document.querySelector('.choose').focus()")
    names = []
    for _ in range(4):
        names.append(browser.run("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
        browser.press("Tab")
    assert names[:2] == ["Choose photographs", "Switch the camera on"]
    assert names[2] == "Where did it look? Face 1, happy"
    browser.run("document.querySelector('.box').focus()")
    assert browser.run("document.querySelectorAll('.picked').length") == 2
    browser.press("Enter")
    assert browser.wait_for("document.querySelector('dialog').open")
    browser.wait_for("!document.querySelector('dialog .pair').hidden")
    browser.wait_for("[...document.querySelectorAll('.pair img')].every(one => one.naturalWidth === 256)")
    assert browser.run("document.querySelector('#why-title').textContent") == "Where it looked for “happy”"
    browser.press("Escape")
    assert browser.wait_for("!document.querySelector('dialog').open")
    assert browser.run("document.activeElement.className").startswith("box")
    browser.run("document.querySelector('.ask').click()")
    assert browser.run("document.querySelector('dialog').open")
    assert browser.complaints == []


def test_a_file_that_changes_after_it_was_chosen_is_said(browser, server, files, tmp_path):
    opened(browser, server)
    chosen = tmp_path / "chosen.png"
    chosen.write_bytes((files / "one.png").read_bytes())
    look(browser, chosen)
    chosen.write_bytes((files / "none.png").read_bytes())
    browser.run("document.querySelector('.ask').click()")
    browser.wait_for("document.querySelector('.wait').textContent.includes('changed or gone since it was chosen')")
    browser.press("Escape")


def test_an_error_of_the_program_is_said_and_the_page_goes_on(browser, server, files, monkeypatch, capfd):
    opened(browser, server)
    with monkeypatch.context() as broken:
        broken.setattr(server, "faces", lambda *_: 1 / 0)
        browser.choose("input", files / "none.png")
        [sentence] = browser.wait_for(f"{SENTENCES}.length && {SENTENCES}")
    assert sentence.startswith("none.png cannot be looked at: jaxfer failed at this picture")
    assert "ZeroDivisionError" in capfd.readouterr().err
    browser.choose("input", files / "one.png")
    browser.wait_for(f"{CARDS}.join() === 'happy'")


def test_a_camera_is_watched_and_its_faces_are_followed(browser, server, files):
    opened(browser, server)
    look(browser, files / "none.png")
    browser.run("document.querySelector('.camera').click()")
    browser.wait_for(f"{CARDS}.join() === 'happy'")
    [[left, top, width, height]] = browser.run(BOXES)
    # The face's middle goes from 100 to 108 of 320 pixels, and the picture is shown as in a mirror.
    assert left + width / 2 == pytest.approx(1 - 104 / 320, abs=0.05)
    assert top + height / 2 == pytest.approx(0.5, abs=0.08)
    assert 0.2 < width < 0.5
    browser.wait_for("/^\\d+ pictures? a second$/.test(document.querySelector('.pace').textContent)")
    assert browser.wait_for("document.querySelector('.face-card .number').textContent") == "1"
    assert browser.wait_for("document.querySelector('.said').textContent").startswith("1 face: 1 happy ")
    assert browser.run("document.querySelector('.camera').ariaPressed") == "true"
    browser.run("document.querySelector('.box').click()")
    browser.wait_for("!document.querySelector('dialog .pair').hidden")
    browser.press("Escape")
    browser.run("document.querySelector('.box').focus()")
    browser.run("engine.look = async () => ({ faces: [], size: [640, 480] })")
    browser.wait_for("document.querySelectorAll('.box').length === 0")  # and the focus that was in it is not lost
    assert browser.run("document.activeElement.innerText") == "Switch the camera off"
    browser.press("Enter")
    assert browser.run("[live, video.srcObject, document.activeElement.innerText]") == [
        None,
        None,
        "Switch the camera on",
    ]
    assert browser.run("document.querySelector('.picture img').alt") == "none.png"
    assert browser.run(CARDS) == []
    assert browser.complaints == []


def test_a_camera_that_is_refused_or_gone_is_said(browser, server):
    opened(browser, server)
    browser.run("navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }")
    browser.run("document.querySelector('.camera').click()")
    assert browser.wait_for(SENTENCES) == ["The camera was not allowed: allow it in the address bar of the browser."]
    opened(browser, server)
    browser.run("document.querySelector('.camera').click()")
    browser.wait_for("live && document.querySelectorAll('.box').length")
    browser.run("live.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    assert browser.run(SENTENCES) == ["The camera has gone: connect it again."]
    assert browser.run("document.body.dataset.state") == "empty"
    browser.run("delete Navigator.prototype.mediaDevices")  # as at an address of http that is not this machine's
    browser.run("document.querySelectorAll('.message button, .camera').forEach(one => one.click())")
    assert browser.run(SENTENCES) == [
        "Browsers give a camera to pages of https and of localhost alone: open this one by such an address."
    ]


def test_a_lost_connection_is_said_and_the_page_goes_on_when_it_is_back(browser, server, files):
    opened(browser, server)
    browser.block("*/faces*")
    browser.choose("input", files / "one.png")
    [sentence] = browser.wait_for(f"{SENTENCES}.length && {SENTENCES}")
    assert sentence.startswith("The program behind this page does not answer.")
    assert browser.run(CARDS) == []
    browser.block()
    browser.wait_for(f"{CARDS}.join() === 'happy'")
    assert browser.run(SENTENCES) == []
    browser.block("*/explanation*")
    browser.run("document.querySelector('.ask').click()")
    # In front of the page, where it is read.
    browser.wait_for("document.querySelector('.wait').textContent.startsWith('The program behind this page does not')")
    browser.block()
    browser.wait_for("!document.querySelector('dialog .pair').hidden")
    assert browser.run("document.querySelector('.wait').textContent").endswith("where it spoke for happy.")
    browser.press("Escape")
    assert browser.run(SENTENCES) == []


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_the_window_and_the_room(browser, server, files, width, dark):
    opened(browser, server, width=width, dark=dark)
    for step in (lambda: None, lambda: look(browser, files / "group.jpg", files / "one.png")):
        step()
        assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
        ground, ink = (brightness(browser, name) for name in ("backgroundColor", "color"))
        assert (ground < 60 and ink > 200) if dark else (ground > 200 and ink < 60)
    buttons = "[...document.querySelectorAll('main button')].filter(one => one.checkVisibility())"
    assert browser.run(f"{buttons}.filter(one => !one.matches('.box') && one.offsetHeight < 30).length") == 0
    assert browser.run("document.querySelectorAll('h1').length") == 1
    browser.run("complain('none.png is empty: choose another one.')")
    told = browser.spoken
    assert [(role, name) for role, name in told if role in ("button", "image", "link", "heading") and not name] == []
    assert sum(role == "button" for role, _ in told) == browser.run(f"{buttons}.length")
    assert {"alert", "status", "main"} <= {role for role, _ in told}
    assert browser.run(FAINTEST)[0] >= 4.5
    browser.run("document.querySelector('.box').click()")
    browser.wait_for("!document.querySelector('dialog .pair').hidden")
    assert ("dialog", "Where it looked for “surprise”") in browser.spoken
    assert browser.run(FAINTEST)[0] >= 4.5
    assert browser.complaints == []


def test_whoever_walks_by_keys_sees_where_they_are_and_whoever_wants_rest_gets_it(browser, server, files):
    browser.open(server.address, width=DESK, still=True)
    look(browser, files / "group.jpg", files / "one.png")
    browser.run("document.querySelector('.stage').classList.add('looking')")
    assert browser.run("document.getAnimations().length") == 0
    walked = browser.run("document.querySelectorAll('button:not(dialog *)').length")
    browser.run("document.querySelector('.box').focus()")
    for _ in range(walked - 1):
        browser.press("Tab")
        outline = browser.run("getComputedStyle(document.activeElement).outline")
        assert "solid 3px" in outline, browser.run("document.activeElement.outerHTML")
    assert browser.run("document.activeElement.ariaLabel").startswith("Where did it look? Face 6")


def brightness(browser, name):
    """Return how bright the page's ground or its ink is, from 0 to 255."""
    colour = browser.run(f"getComputedStyle(document.body).{name}")
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3


def test_the_notice_is_on_the_page(browser, server):
    opened(browser, server, width=PHONE)
    said = browser.run("document.querySelector('footer').innerText")
    for part in ("not what a person feels", "Do not use this to judge", "AI Act", "kept nowhere", "FER2013"):
        assert part in said


def test_valence_and_arousal_are_words_and_a_point_on_the_circle(browser, server, files):
    opened(browser, server)
    browser.run("""{
      const look = engine.look;
      engine.look = async (...asked) => {
        const found = await look(...asked);
        Object.assign(found.faces[0], { valence: 0.5, arousal: -0.25 });
        return found;
      };
    }""")
    look(browser, files / "one.png")
    words = browser.run("document.querySelector('.affect').innerText.split('\\n')")
    assert words == ["valence +0.50", "arousal \u22120.25"]
    circle, dot = (
        browser.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2, width])({one})")
        for one in (f"document.querySelector('.affect {one}').getBoundingClientRect()" for one in ("circle", ".dot"))
    )
    assert (dot[0] - circle[0]) / (circle[2] / 2) == pytest.approx(0.5, abs=0.03)
    assert (circle[1] - dot[1]) / (circle[2] / 2) == pytest.approx(-0.25, abs=0.03)  # arousal grows upwards
    assert browser.complaints == []
