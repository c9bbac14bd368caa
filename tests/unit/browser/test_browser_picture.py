from __future__ import annotations

import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from testbed.browser.picture import on_display, packed, pixels_of, png
from testbed.phone_xml import Bitmap


def test_the_example_of_ciscos_notes_unpacks_as_they_say() -> None:
    assert pixels_of(Bitmap(width=4, height=1, depth=2, data=b"\x2d")) == [1, 3, 2, 0]


def test_pixels_go_on_over_the_ends_of_rows() -> None:
    bitmap = Bitmap(width=3, height=2, depth=2, data=packed([0, 1, 2, 3, 2, 1], 2))
    assert pixels_of(bitmap) == [0, 1, 2, 3, 2, 1]
    assert len(packed([0] * 133 * 65, 2)) == 2162


def test_picture_sits_where_its_location_says_and_black_is_the_highest_value() -> None:
    black = Bitmap(width=1, height=1, depth=1, data=b"\x01", x=2, y=1)
    assert on_display(black, 4, 2) == [[255] * 4, [255, 255, 0, 255]]
    centred = Bitmap(width=2, height=1, depth=2, data=packed([3, 1], 2), x=-1, y=-1)
    assert on_display(centred, 4, 3) == [[255] * 4, [255, 0, 170, 255], [255] * 4]


def test_what_lies_outside_the_display_is_cut_off() -> None:
    wide = Bitmap(width=4, height=1, depth=1, data=b"\x0f")
    assert on_display(wide, 2, 1) == [[0, 0]]


def read_png(data: bytes) -> list[list[int]]:
    """As little of a PNG reader as 8-bit grey needs, with every chunk's check sum checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind], place = body, place + 12 + length
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, colour, chunks[b"IEND"]) == (8, 0, b"")
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == height * (width + 1)
    return [list(raw[row * (width + 1) + 1 : (row + 1) * (width + 1)]) for row in range(height)]


@given(st.integers(1, 133), st.integers(1, 65), st.sampled_from([1, 2]), st.binary(max_size=300), st.integers(-1, 132))
def test_png_holds_the_displays_pixels(width: int, height: int, depth: int, data: bytes, x: int) -> None:
    rows = on_display(Bitmap(width=width, height=height, depth=depth, data=data, x=x), 133, 65)
    assert read_png(png(rows)) == rows


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_packing_is_the_inverse_of_unpacking(pixels: list[int]) -> None:
    assert pixels_of(Bitmap(width=len(pixels), height=1, depth=2, data=packed(pixels, 2))) == pixels
