"""Files of pictures: which are opened, and that whatever is wrong with one is said in our own words."""

import io
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskgrid.errors import InvalidTypeError, InvalidValueError, MaskGridError
from maskgrid.pictures.local_path import local_path
from maskgrid.pictures.open_image import FORMATS, open_image
from maskgrid.pictures.read_mask import read_mask


def png(side=8):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def with_size(data, width, height):
    """A PNG whose header says that it is larger."""
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize(
    "path", ["s3://bucket/sheet.png", "https://example.org/a.png", "file:///a.png", "data:image/png;base64,"]
)
def test_urls_are_refused_with_the_remedy(path):
    for given in (path, Path(path)):
        if "//" in path or given == path:
            with pytest.raises(InvalidValueError, match=r"is the URL.*allowed: a path on this machine"):
                open_image(given)


@pytest.mark.parametrize(
    "path", ["C:/sheet.png", "c:\\sheet.png", "a:b.png", "folder/s3:/x.png", "./data.png"]
)
def test_what_only_looks_like_a_url_is_a_path(path):
    assert local_path(path) == Path(path)


def test_home_is_opened_and_an_unknown_one_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a.png") == tmp_path / "a.png"
    with pytest.raises(InvalidValueError, match="home folder"):
        local_path("~nobody-of-this-name/a.png")


def test_postscript_under_another_name_is_not_opened(tmp_path):
    """Pillow would hand it to Ghostscript."""
    path = tmp_path / "sheet.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    with Image.open(path) as file:
        assert file.format == "EPS"
    with pytest.raises(MaskGridError, match=r"another format, or broken.*allowed: PNG"):
        open_image(path)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PCX", "SGI", "PDF", "EPS"])
def test_formats_that_are_not_listed_are_refused(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    assert kind not in FORMATS
    with pytest.raises(MaskGridError, match="allowed: PNG"):
        open_image(buffer.getvalue())


def test_a_file_cut_off_anywhere_is_named():
    data = png()
    for length in range(0, len(data) - 40, 7):
        for source in (data[:length], io.BytesIO(data[:length])):
            with pytest.raises(MaskGridError, match="no image that Pillow can read"):
                open_image(source)


def test_a_pil_image_that_is_cut_off_is_named():
    data = png()
    with pytest.raises(MaskGridError, match="can't be decoded"):
        open_image(Image.open(io.BytesIO(data[: len(data) // 2])))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "WEBP", "JPEG", "BMP"])
def test_a_tampered_file_is_a_picture_or_an_error_of_ours(kind):
    buffer = io.BytesIO()
    frames = [Image.new("L", (16, 16), shade) for shade in (10, 200)]
    options = {"save_all": True, "append_images": frames[1:]} if kind in ("GIF", "TIFF") else {}
    frames[0].save(buffer, kind, **options)
    data, generator = np.frombuffer(buffer.getvalue(), np.uint8), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        broken = data.copy()
        broken[generator.integers(0, len(data), 4)] = generator.integers(0, 256, 4)
        try:
            open_image(broken.tobytes())
        except MaskGridError:
            refused += 1
        except UserWarning:
            # Pillow's own, or that there are two frames.
            continue
    assert refused


def test_bombs_are_refused_and_larger_files_opened_on_request():
    bomb = with_size(png(), 60_000, 60_000)
    with pytest.raises(InvalidValueError, match=r"max_pixels \(--max-pixels\)"):
        open_image(bomb)
    with pytest.raises(InvalidValueError, match="allowed: 63 pixels"):
        open_image(png(), max_pixels=63)
    assert open_image(png(), max_pixels=64).image.size == (8, 8)


def test_the_guard_of_pillow_is_as_it_was_and_can_be_passed(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert open_image(png(), max_pixels=1000).image.size == (8, 8)
    assert Image.MAX_IMAGE_PIXELS == 60
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(InvalidValueError, match="allowed: 20 pixels"):
        open_image(png())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_image(png()).image.size == (8, 8)


def test_a_raised_guard_is_raised_for_no_other_thread(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 63)
    stop, opened = threading.Event(), []

    def raise_it():
        while not stop.is_set():
            open_image(png(), max_pixels=1000)

    thread = threading.Thread(target=raise_it)
    thread.start()
    try:
        for _ in range(200):
            try:
                opened.append(open_image(png()))
            except (InvalidValueError, MaskGridError):
                continue
    finally:
        stop.set()
        thread.join()
    assert not opened


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many"])
def test_a_limit_that_is_none_is_named(limit):
    with pytest.raises(InvalidValueError, match="max_pixels is"):
        open_image(png(), max_pixels=limit)


def test_a_file_of_text_and_a_broken_one_are_named(tmp_path):
    path = tmp_path / "sheet.png"
    path.write_text("text")
    with path.open() as file, pytest.raises(InvalidTypeError, match=r'allowed: open\(path, "rb"\)'):
        open_image(file)
    closed = path.open("rb")
    closed.close()
    with pytest.raises(MaskGridError, match="can't be read"):
        open_image(closed)
    with pytest.raises(MaskGridError, match="can't be read"):
        open_image(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"\x93NUMPY\x01\x00v\x00{'descr'"]
)
def test_a_broken_mask_is_named(content, tmp_path):
    for name in ("broken.png", "broken.npy"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MaskGridError, match="broken"):
            read_mask(tmp_path / name)
