"""A capture file of any size, as blocks of packets: pcap or pcapng, as it is or compressed by gzip, from a disk or a pipe.

Memory is that of one block, whatever the file holds or claims. Nothing in a file raises but what is no capture from its first bytes on;
what could not be read is counted.
"""

from __future__ import annotations

import errno
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np

from testbed.packets import GZIP_MAGIC, CaptureError, Packets, container_of, decode
from testbed.packets.fetch import SLACK_BYTES
from testbed.packets.link import LINK_NAMES
from testbed.packets.record import PCAP_HEADER_BYTES, Container, Records

BLOCK_BYTES = 4 << 20
"""Small enough that a block's columns stay in the processor's cache for the most part, large enough that the cost per block is not
seen."""
_UNPACKED_BYTES = 1 << 16
_TOO_MANY_OPEN = "allow more open files (`ulimit -n 65536`), or put files that overlap together first (`mergecap -w all.pcap FILE...`)"
_MAX_BUFFER_BYTES = 64 << 20
"""No container waits for so much: records have a greatest length."""


class Growth(Protocol):
    """Of a file that is still written: whoever reads it asks when its end is reached."""

    ended: bool
    """Whether nothing more can come."""

    def wait(self) -> bool:
        """Until there is more to read; False where nobody will read on."""
        ...


class CaptureFile:
    """Reads once, front to back; with a ``growth`` on and on. What is behind ``blocks`` is known when it has ended: ``frames``,
    ``truncated`` (the file ends inside a record), ``damage`` (why the rest could not be read, "" if it could), ``skipped`` (what was left
    out, counted in words)."""

    def __init__(
        self, stream: BinaryIO, *, file: str, block_bytes: int = BLOCK_BYTES, growth: Growth | None = None
    ) -> None:
        self.file = file
        self.frames = 0
        self.bytes = 0
        self.truncated = False
        self.damage = ""
        self.skipped: Counter[str] = Counter()
        self._left = 0
        """Bytes of the last block that were not used."""
        self._growth = growth
        self._stream = _uncompressed(stream) if growth is None else stream
        self._block_bytes = max(block_bytes, 256)

    def blocks(self) -> Iterator[Packets]:
        """All packets in order. A block is gone when the next one is asked for: its ``data`` is used again."""
        buffer, end = bytearray(self._block_bytes + SLACK_BYTES), 0
        end = self._fill(buffer, 0, PCAP_HEADER_BYTES)
        while end < PCAP_HEADER_BYTES and self._grows():
            end = self._fill(buffer, end, PCAP_HEADER_BYTES)
        if not end:
            raise CaptureError(f"{self.file} is empty", hint="captures are what `tcpdump -w` or Wireshark write")
        container, begin = container_of(buffer[:end], self.file)
        skip = 0
        while not (container.damage or self.damage):
            if skip and (skip := self._left_of(skip)):
                self.truncated = self._is_whole
                break
            room = len(buffer) - SLACK_BYTES
            filled = self._fill(buffer, end, room)
            buffer[filled : filled + SLACK_BYTES] = bytes(SLACK_BYTES)
            records, at = container.take(buffer, begin, filled)
            if len(records.at):
                yield self._packets(buffer, records)
            at_end = filled < room
            if container.damage:
                self._left = filled - at
            if at >= filled:
                skip, end = at - filled, 0
            else:
                end = filled - at
                if at == begin and end == room:
                    assert len(buffer) < _MAX_BUFFER_BYTES
                    buffer += bytes(len(buffer))
                buffer[:end] = buffer[at:filled]
            begin = 0
            if at_end and not self._grows():
                self.truncated = bool(end or skip) and self._is_whole
                break
        self._finish(container)

    def _grows(self) -> bool:
        return self._growth is not None and self._growth.wait()

    @property
    def _is_whole(self) -> bool:
        """Whether all is there that ever will be: what is still written may end anywhere."""
        return self._growth is None or self._growth.ended

    def _left_of(self, skip: int) -> int:
        """Pass over so many bytes; how many of them did not come."""
        skip -= self._pass_over(skip)
        while skip and self._grows():
            skip -= self._pass_over(skip)
        return skip

    def close(self) -> None:
        """Where reading ends before the file does."""
        self._stream.close()

    def _packets(self, buffer: bytearray, records: Records) -> Packets:
        packets = decode(buffer, self.file, records, truncated=False, frames_before=self.frames)
        self.frames += len(packets)
        values, counts = np.unique(records.link, return_counts=True)
        for link, count in zip(values.tolist(), counts.tolist(), strict=True):
            if link not in LINK_NAMES:
                self.skipped[f"frames of link type {link}, which is not read"] += count
        return packets

    def _finish(self, container: Container) -> None:
        self.damage = self.damage or container.damage
        if self.damage:
            self.truncated = False
            rest = self._left + self._pass_over(1 << 62)
            self.skipped["bytes behind the damage"] += rest
        self.skipped += container.skipped
        self.skipped = +self.skipped

    def _fill(self, buffer: bytearray, begin: int, end: int) -> int:
        """Read to ``buffer[begin:end]``; where it ended (before ``end`` only at the end of the file)."""
        view = memoryview(buffer)
        try:
            while begin < end:
                count = self._read_into(view[begin:end])
                if not count:
                    break
                begin += count
        finally:
            view.release()
        return begin

    def _read_into(self, view: memoryview) -> int:
        try:
            count = self._stream.readinto(view)  # type: ignore[attr-defined]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.damage = self.damage or f"gzip: {error}"
            return 0
        self.bytes += count
        return int(count or 0)

    def _pass_over(self, count: int) -> int:
        """Read and drop; how many bytes there were."""
        scratch = memoryview(bytearray(1 << 16))
        passed = 0
        while passed < count:
            got = self._read_into(scratch[: min(len(scratch), count - passed)])
            if not got:
                break
            passed += got
        return passed


def _uncompressed(stream: BinaryIO) -> BinaryIO:
    peekable = io.BufferedReader(cast(io.RawIOBase, stream), 1 << 16)
    if peekable.peek(2)[:2] == GZIP_MAGIC:
        return cast(BinaryIO, _Unpacked(peekable))
    return peekable


class _Unpacked:
    """gzip, always in pieces of the same length: damage takes no more than one of them with it, however much is asked for at once."""

    def __init__(self, packed: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=packed, mode="rb")
        self._rest = memoryview(b"")

    def readinto(self, view: memoryview) -> int:
        if not self._rest:
            self._rest = memoryview(self._file.read1(_UNPACKED_BYTES))
        count = min(len(view), len(self._rest))
        view[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def close(self) -> None:
        self._file.close()


def open_capture(path: Path, *, block_bytes: int = BLOCK_BYTES) -> CaptureFile:
    """This file, or standard input for ``-``; CaptureError where it cannot be opened."""
    # Bytes of a name that are no UTF-8 cannot be printed everywhere.
    name = str(path).encode("utf-8", "replace").decode("utf-8")
    try:
        raw = io.FileIO(0, closefd=False) if name == "-" else io.FileIO(path)
        shown = "standard input" if name == "-" else name
        return CaptureFile(cast(BinaryIO, raw), file=shown, block_bytes=block_bytes)
    except OSError as error:
        hint = _TOO_MANY_OPEN if error.errno in (errno.EMFILE, errno.ENFILE) else "check the path"
        raise CaptureError(f"{name}: {error.strerror or error}", hint=hint) from None
