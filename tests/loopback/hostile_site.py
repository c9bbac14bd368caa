"""A web site that answers as no site should."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"


class Hostile(threading.Thread):
    """A server that sends what the path names, and goes on until the client has had enough."""

    def __init__(self, aliases: Mapping[str, str] = MappingProxyType({}), tls: ssl.SSLContext | None = None) -> None:
        """``aliases``: path asked for -> path whose answer it gets; ``tls``: with a certificate for 127.0.0.1."""
        super().__init__(daemon=True)
        self._aliases, self._tls = aliases, tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(20)
            self._talk(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            request = connection.recv(65536)
            self.requests.append(request)
            for part in self._answer(self._path(request)):
                connection.sendall(part)

    def _path(self, request: bytes) -> str:
        path = request.split(b" ")[1].decode()
        return self._aliases.get(path, path)

    def _answer(self, path: str) -> Iterator[bytes]:
        match path:
            case "/large":
                yield OK + b"Content-Length: 100000000\r\n\r\n"
                yield from (b"x" * 65536 for _ in range(1600))
            case "/endless":
                yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
                for _ in range(200):
                    yield b"1\r\n \r\n"
                    time.sleep(0.05)
            case "/slow-head":
                yield b"HTTP/1.1 200 OK\r\n"
                for number in range(200):
                    yield b"X-%d: y\r\n" % number
                    time.sleep(0.05)
            case "/silent":
                time.sleep(5)
            case "/short":
                yield OK + b"Content-Length: 500\r\n\r\n<CiscoIPPhoneText/>"
            case "/closed":
                return
            case "/rubbish":
                yield b"\x00\x01\x02 rubbish\r\n\r\n"
            case "/heads":
                yield OK + b"X: y\r\n" * 100_000
            case "/packed":
                yield OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
            case "/doctype":
                yield OK + b'\r\n<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>'
            case "/deep":
                yield OK + b"\r\n" + b"<a>" * 20_000
            case "/png":
                yield OK.replace(b"text/xml", b"image/png") + b"\r\n\x89PNG"
            case "/loop":
                yield b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"
            case "/away":
                yield b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
