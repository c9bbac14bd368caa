"""CIP bitmaps as pictures: pixels unpacked, placed on the display, written as PNG.

Pixels follow each other over the ends of rows (133 x 65 pixels of 2 bits are the schema's 2162 bytes), the first in the
lowest bits of its byte: 1, 3, 2, 0 are ``2D``. The highest value is black.
"""

from __future__ import annotations

import struct
import zlib

from testbed.phone_xml import Bitmap

CENTRED = -1
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def pixels_of(bitmap: Bitmap) -> list[int]:
    """Values row by row, 0 (white) to 2**depth - 1 (black); what the data lacks is white."""
    per_byte, mask = 8 // bitmap.depth, (1 << bitmap.depth) - 1
    wanted = bitmap.width * bitmap.height
    found = [byte >> bitmap.depth * place & mask for byte in bitmap.data for place in range(per_byte)][:wanted]
    return found + [0] * (wanted - len(found))


def packed(pixels: list[int], depth: int) -> bytes:
    """The inverse of ``pixels_of``; the last byte is filled up with white."""
    per_byte = 8 // depth
    return bytes(
        sum(value << depth * place for place, value in enumerate(pixels[start : start + per_byte]))
        for start in range(0, len(pixels), per_byte)
    )


def on_display(bitmap: Bitmap, width: int, height: int) -> list[list[int]]:
    """Rows of grey values 0 (black) to 255 (white) of the whole display; what lies outside is cut off."""
    most = (1 << bitmap.depth) - 1
    left = (width - bitmap.width) // 2 if bitmap.x == CENTRED else bitmap.x
    top = (height - bitmap.height) // 2 if bitmap.y == CENTRED else bitmap.y
    rows = [[255] * width for _ in range(height)]
    for index, value in enumerate(pixels_of(bitmap)):
        x, y = left + index % bitmap.width, top + index // bitmap.width
        if 0 <= x < width and 0 <= y < height:
            rows[y][x] = 255 - value * 255 // most
    return rows


def png(rows: list[list[int]]) -> bytes:
    """A greyscale PNG of 8 bits a pixel; ``rows`` as ``on_display`` gives them."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def is_png(data: bytes) -> bool:
    """Whether it begins as a PNG file does."""
    return data.startswith(_SIGNATURE) and data[12:16] == b"IHDR"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
