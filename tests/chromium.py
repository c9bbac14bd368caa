"""A headless Chromium, driven over its DevTools protocol: opens a file, says what its console said, runs a script in it, takes pictures."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --hide-scrollbars
    --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0
"""
START_S, ANSWER_S = 20.0, 60.0


def browser_path() -> str | None:
    """TESTBED_CHROMIUM, or the first that is on PATH."""
    given = os.environ.get("TESTBED_CHROMIUM")
    return given or next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Page:
    """An open page. ``console`` has what it logged as an error, and exceptions that nobody caught."""

    send: Callable[..., Any]
    console: list[str] = field(default_factory=list)
    loaded_s: float = 0.0

    async def evaluate(self, script: str) -> Any:
        """The value of an expression; a promise is awaited."""
        reply = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    async def picture(self, file: Path, *, width: int, dark: bool, full: bool = True) -> None:
        """The page as PNG."""
        await self.size(width, dark=dark)
        shot = await self.send(
            "Page.captureScreenshot", captureBeyondViewport=full, **({} if not full else await self._all(width))
        )
        file.write_bytes(base64.b64decode(shot["data"]))

    async def _all(self, width: int) -> dict[str, Any]:
        height = await self.evaluate("document.documentElement.scrollHeight")
        return {"clip": {"x": 0, "y": 0, "width": width, "height": min(height, 16_000), "scale": 1}}

    async def size(self, width: int, *, dark: bool) -> None:
        """Window and colour scheme."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])


def visit(file: Path, act: Callable[[Page], Any]) -> Any:
    """What ``act`` gives for this file, opened in a browser of its own."""
    return asyncio.run(_visit(file, act))


async def _visit(file: Path, act: Callable[[Page], Any]) -> Any:
    path = browser_path()
    assert path, "no Chromium"
    with TemporaryDirectory() as profile:
        process = subprocess.Popen(
            [path, *_FLAGS.split(), f"--user-data-dir={profile}"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            url = await asyncio.wait_for(asyncio.to_thread(_address, process), START_S)
            async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
                return await _Dialogue(socket).open(file, act)
        finally:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    said = []
    for line in process.stderr:
        if found := re.search(r"DevTools listening on (ws://\S+)", line):
            return found[1]
        said.append(line)
    raise AssertionError("Chromium did not start: " + "".join(said)[-500:])


class _Dialogue:
    """Numbered requests and their answers over one socket, events in between."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number, self._session = socket, 0, ""
        self._page = Page(send=self.send)
        self._is_loaded = False

    async def send(self, method: str, **params: Any) -> Any:
        self._number += 1
        number = self._number
        request = {"id": number, "method": method, "params": params}
        await self._socket.send_json(request | ({"sessionId": self._session} if self._session else {}))
        while True:
            message = await self._next()
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]

    async def _next(self) -> Any:
        message = await self._socket.receive_json(timeout=ANSWER_S)
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self._page.console.append(" ".join(str(arg.get("value", arg)) for arg in params["args"]))
            case "Runtime.exceptionThrown":
                self._page.console.append(str(params["exceptionDetails"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self._page.console.append(params["entry"]["text"])
            case "Page.loadEventFired":
                self._is_loaded = True
        return message

    async def open(self, file: Path, act: Callable[[Page], Any]) -> Any:
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.send(f"{domain}.enable")
        # The blank page's own.
        self._is_loaded = False
        began_s = time.monotonic()
        await self.send("Page.navigate", url=file.resolve().as_uri())
        while not self._is_loaded:
            await self._next()
        # Loaded is not yet drawn.
        await self._page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
        )
        self._page.loaded_s = time.monotonic() - began_s
        return await act(self._page)
