import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from jaxfer.data.reading.folder import IMAGE_SUFFIXES
from jaxfer.data.reading.images import FORMATS, UnreadableError, decode

RED = (200, 30, 10)


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def checkerboard(side, cell):
    x, y = np.indices((side, side)) // cell
    return ((x + y) % 2 * 255).astype(np.uint8)


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


def assert_is_colour(pixels, colour, tolerance):
    assert np.abs(pixels.astype(int) - np.array(colour)).max() <= tolerance


@pytest.mark.parametrize("suffix", [suffix for suffix in IMAGE_SUFFIXES if suffix not in (".avif", ".pgm")])
def test_red_stays_red_in_every_format(tmp_path, suffix):
    path = saved(tmp_path / f"red{suffix}", Image.new("RGB", (40, 40), RED))
    pixels = decode(path, 32)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert_is_colour(pixels, RED, tolerance=4)


@pytest.mark.skipif("AVIF" not in FORMATS, reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_reads_it(tmp_path):
    path = saved(tmp_path / "red.avif", Image.new("RGB", (40, 40), RED), quality=90)
    assert_is_colour(decode(path, 32), RED, tolerance=8)


def test_gray_maps_are_read(tmp_path):
    pixels = noise((32, 32))
    path = saved(tmp_path / "gray.pgm", Image.fromarray(pixels))
    np.testing.assert_array_equal(decode(path, 32), np.repeat(pixels[..., None], 3, axis=2))


def test_shrinking_is_pillows_antialiased_bilinear(tmp_path):
    path = saved(tmp_path / "noise.png", Image.fromarray(noise((224, 224, 3))))
    with Image.open(path) as picture:
        expected = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode(path, 64), expected)


def test_a_fine_pattern_shrinks_to_gray_rather_than_to_moire(tmp_path):
    path = saved(tmp_path / "checks.png", Image.fromarray(checkerboard(320, cell=1)))
    assert_is_colour(decode(path, 40)[1:-1, 1:-1], (127.5,) * 3, tolerance=2)


def test_a_jpeg_below_three_times_the_size_is_decoded_in_full(tmp_path):
    path = saved(tmp_path / "face.jpg", Image.fromarray(noise((190, 190, 3))), quality=95)
    with Image.open(path) as picture:
        expected = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode(path, 64), expected)


@pytest.mark.parametrize("side", [192, 193, 224, 450, 900, 901])
def test_a_large_jpeg_shrunk_by_its_decoder_looks_like_one_shrunk_afterwards(tmp_path, side):
    smooth = Image.fromarray(noise((12, 12, 3))).resize((side, side), Image.Resampling.BICUBIC)
    path = saved(tmp_path / "large.jpg", smooth, quality=95)
    with Image.open(path) as picture:
        expected = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(decode(path, 64) - expected)
    assert difference.mean() < 1
    assert difference.max() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright_by_their_exif_orientation(tmp_path, orientation):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = RED
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
    turned = Image.fromarray(upright)
    turned.getexif()[0x0112] = back
    path = saved(tmp_path / "turned.png", ImageOps.exif_transpose(turned), exif=exif)
    expected = np.asarray(Image.fromarray(upright).resize((32, 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode(path, 32), expected)


def test_gray_becomes_three_equal_channels(tmp_path):
    gray = noise((48, 48))
    path = saved(tmp_path / "gray.png", Image.fromarray(gray))
    expected = np.asarray(Image.fromarray(gray).resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode(path, 64), np.repeat(expected[..., None], 3, axis=2))
    np.testing.assert_array_equal(decode(gray, 64), decode(path, 64))


def test_pixels_of_the_right_size_pass_unchanged():
    pixels = noise((48, 48, 3))
    np.testing.assert_array_equal(decode(pixels, 48), pixels)


def test_16_bit_gray_is_scaled_rather_than_cut_off(tmp_path):
    ramp = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None], 64, axis=0)
    path = saved(tmp_path / "deep.png", Image.fromarray(ramp))
    np.testing.assert_array_equal(decode(path, 64)[..., 0], np.rint(ramp / 257))


def test_palette_and_cmyk_and_bilevel_images_are_converted(tmp_path):
    red = Image.new("RGB", (40, 40), RED)
    palette = saved(tmp_path / "palette.png", red.convert("P", palette=Image.Palette.ADAPTIVE))
    cmyk = saved(tmp_path / "cmyk.jpg", red.convert("CMYK"), quality=95)
    bilevel = saved(tmp_path / "bilevel.png", Image.new("1", (40, 40), 1))
    assert_is_colour(decode(palette, 32), RED, tolerance=0)
    assert_is_colour(decode(cmyk, 32), RED, tolerance=6)
    assert_is_colour(decode(bilevel, 32), (255, 255, 255), tolerance=0)


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (Image.new("RGBA", (40, 40), (*RED, 0)), {}),
        (Image.new("LA", (40, 40), (200, 0)), {}),
        (Image.new("L", (40, 40), 200), {"transparency": 200}),
        (Image.new("RGB", (40, 40), RED), {"transparency": RED}),
        (Image.new("P", (40, 40), 1), {"transparency": bytes([255, 0])}),
        (Image.new("1", (40, 40), 1), {"transparency": 255}),
    ],
    ids=["RGBA", "LA", "L", "RGB", "P", "1"],
)
def test_transparent_parts_lie_on_black(tmp_path, picture, options):
    path = saved(tmp_path / "clear.png", picture, **options)
    assert decode(path, 32).max() == 0


def test_half_transparent_red_is_half_as_bright(tmp_path):
    path = saved(tmp_path / "half.png", Image.new("RGBA", (40, 40), (200, 30, 10, 128)))
    assert_is_colour(decode(path, 32), (100, 15, 5), tolerance=1)


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, (0, 0, 255))]
    path = saved(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    assert_is_colour(decode(path, 32), RED, tolerance=4)


def test_a_png_named_jpg_is_read_as_what_it_is(tmp_path):
    path = saved(tmp_path / "face.jpg", Image.new("RGB", (40, 40), RED), format="PNG")
    assert_is_colour(decode(path, 32), RED, tolerance=0)


def test_an_oblong_image_is_resized_as_a_whole(tmp_path):
    left_half_red = np.zeros((20, 80, 3), np.uint8)
    left_half_red[:, :40] = RED
    path = saved(tmp_path / "oblong.png", Image.fromarray(left_half_red))
    pixels = decode(path, 32)
    assert_is_colour(pixels[:, :14], RED, tolerance=0)
    assert pixels[:, 18:].max() == 0


def truncated(tmp_path):
    whole = saved(tmp_path / "whole.jpg", Image.fromarray(noise((100, 100, 3)))).read_bytes()
    return whole[: len(whole) // 2]


def header_only(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(noise((40, 40, 3))).save(buffer, "PNG")
    return buffer.getvalue()[:40]


def float_tiff(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.ones((40, 40), np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


def postscript(tmp_path):
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (truncated, "truncated"),
        (header_only, "not an image"),
        (lambda _: b"", "empty file"),
        (lambda _: b"<html>not found</html>", "not an image"),
        (postscript, "not an image"),
        (float_tiff, "range is not known"),
    ],
    ids=["truncated", "header", "empty", "html", "postscript", "float"],
)
def test_a_damaged_file_is_unreadable_with_its_path_and_the_reason(tmp_path, content, reason):
    path = tmp_path / "bad.jpg"
    path.write_bytes(content(tmp_path))
    with pytest.raises(UnreadableError) as caught:
        decode(path, 32)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    assert reason in caught.value.reason


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path):
    for path in (tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(UnreadableError):
            decode(path, 32)


def test_an_image_with_suspiciously_many_pixels_is_unreadable(tmp_path, monkeypatch):
    path = saved(tmp_path / "huge.png", Image.new("L", (120, 100)))
    # Pillow itself only warns about the first, and refuses the second.
    for limit, found in ((10_000, "120 x 100 pixels"), (5_000, "more than 10,000 pixels")):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UnreadableError, match=f"{found} look like a decompression bomb"):
            decode(path, 32)


def test_what_pillow_warns_about_does_not_leak(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 1
    path = saved(tmp_path / "exif.jpg", Image.new("RGB", (40, 40), RED), exif=exif)
    content = path.read_bytes()
    start = content.index(b"Exif\0\0") + len(b"Exif\0\0")
    path.write_bytes(content[: start + 8] + b"\xff\xff" + content[start + 10 :])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Image.open(path) as picture:
            picture.getexif()
    assert caught, "this file must make Pillow warn, or the test shows nothing"
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        decode(path, 32)
    assert not leaked


@given(
    content=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"BM"]),
)
def test_arbitrary_bytes_are_unreadable_or_an_image(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "arbitrary.jpg"
    path.write_bytes(start + content)
    with contextlib.suppress(UnreadableError):
        assert decode(path, 32).shape == (32, 32, 3)
