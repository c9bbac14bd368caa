"""An engine that goes away in the middle of a run, and one whose disk is full: in a second engine of the test's own.

It has a mount and a network namespace of its own, its data in memory, and its own socket; the machine's engine knows nothing of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import Kill, await_nothing_left, left_of, running

from testbed.engine.client import connect
from testbed.engine.images import build_all
from testbed.state import home

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

RUN = ("rehome-kill", "--phones", "2")
DATA_BYTES = 3 << 30
ROOM = """
mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o size="$2" data "$1/data"
mount -t tmpfs run /run/containerd 2>/dev/null
touch "$1/ready"
exec sleep 3600
"""


class Nested:
    """A room (namespaces) that stays, and an engine in it that comes and goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        (folder / "daemon.json").write_text("{}")
        self._room = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", ROOM, "room", str(folder), str(DATA_BYTES)],
            start_new_session=True,
        )
        await_(lambda: (folder / "ready").exists(), "the room")
        self._engine: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/sock"

    @property
    def data(self) -> Path:
        """The engine's data as seen from here."""
        return Path(f"/proc/{self._room.pid}/root{self.folder}/data")

    def start(self) -> None:
        where = {"data-root": "data", "exec-root": "run", "pidfile": "pid", "config-file": "daemon.json"}
        options = [word for name, file in where.items() for word in (f"--{name}", str(self.folder / file))]
        with (self.folder / "log").open("ab") as log:
            self._engine = subprocess.Popen(
                [
                    *("nsenter", "--target", str(self._room.pid), "--mount", "--net", "dockerd", *options),
                    *("--host", self.address, "--bridge", "none"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await_(self.answers, "the nested engine", self.folder / "log")

    def answers(self) -> bool:
        said = subprocess.run(["docker", "--host", self.address, "version"], capture_output=True, check=False)
        return said.returncode == 0

    def stop(self) -> None:
        if self._engine is not None:
            self._engine.terminate()
            try:
                self._engine.wait(40)
            except subprocess.TimeoutExpired:
                self._engine.kill()
                self._engine.wait()
            self._engine = None

    def close(self) -> None:
        self.stop()
        self._room.kill()
        self._room.wait()


def await_(fact, what: str, log: Path | None = None, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline, f"{what}: {log.read_text()[-2000:] if log and log.exists() else ''}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nested]:
    """A nested engine with the images of this one."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("needs root and util-linux")
    tags = [*build_all(lambda line: None).values(), "testbed-base:trixie"]
    nested = Nested(tmp_path_factory.mktemp("engine"))
    try:
        nested.start()
        with subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as save:
            subprocess.run(["docker", "--host", nested.address, "load"], stdin=save.stdout, check=True)
        yield nested
    finally:
        nested.close()


@pytest.fixture
def engine(loaded: Nested, monkeypatch: pytest.MonkeyPatch) -> Nested:
    """Everything that looks for an engine finds this one."""
    monkeypatch.setenv("DOCKER_HOST", loaded.address)
    if not loaded.answers():
        loaded.start()
    connect().close()
    return loaded


def claims_upon(bed: str) -> list[str]:
    """Those that are there while no engine answers."""
    return [str(path) for path in (home() / "claims").glob(f"{bed}.*")]


def await_containers(bed: str) -> None:
    await_(lambda: any(text.startswith("ps") for text in left_of(bed, home())), "containers")


@pytest.mark.parametrize("killed", [False, True], ids=["alone", "and the run killed meanwhile"])
def test_nothing_is_left_after_the_engine_was_started_again(killed: bool, engine: Nested, tmp_path: Path):
    bed = f"restart-{os.getpid()}-{int(killed)}"
    with running(bed, tmp_path, RUN) as run:
        await_containers(bed)
        time.sleep(4)
        if killed:
            # Its watcher is in the middle of taking the bed down, then.
            run.kill(Kill(after_s=0, numbers=(signal.SIGKILL,)))
        engine.stop()
        if killed:
            assert claims_upon(bed), "nothing was left to do when the engine went"
        engine.start()
        await_(lambda: run.process.poll() is not None, "the end of the run", run.said, 150)
        await_nothing_left(bed, home())
        assert "Traceback" not in run.said.read_text()
        assert run.process.returncode in ((-signal.SIGKILL,) if killed else (4, 6)), run.said.read_text()


@pytest.mark.parametrize("after_s", [0.0, 4.0])
def test_nothing_is_left_after_a_run_on_a_full_disk(after_s: float, engine: Nested, tmp_path: Path):
    bed = f"full-{os.getpid()}-{after_s:.0f}"
    fill = engine.data / "fill"

    def full() -> None:
        with fill.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
            except OSError:
                pass

    try:
        if not after_s:
            full()
        with running(bed, tmp_path, RUN) as run:
            if after_s:
                await_containers(bed)
                time.sleep(after_s)
                full()
            await_(lambda: run.process.poll() is not None, "the end of the run", run.said, 150)
        await_nothing_left(bed, home())
        said = run.said.read_text()
        assert "Traceback" not in said
        assert after_s or run.process.returncode == 4, said
    finally:
        fill.unlink(missing_ok=True)
