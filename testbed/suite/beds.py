"""The beds of a pytest process: one for all tests, or a fresh one for each; gone with the process, however it ends."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.bed import Bed
from testbed.engine.images import build_all
from testbed.errors import BedError, UsageError
from testbed.generation import BedSpec
from testbed.live import Recorder
from testbed.scenario import compose_files
from testbed.suite.bed_fixture import BedFixture
from testbed.suite.episode import Episode
from testbed.topology import Role, Topology

CAPTURED_ROLES = (Role.PHONE, Role.CALL_CONTROL, Role.SLB, Role.WEB_HOST)
MAX_NAME = 40


class Beds:
    """``capture``: hosts, or None for those of CAPTURED_ROLES; ``worker``: of pytest-xdist, each has a bed of its own."""

    def __init__(
        self,
        *,
        files: Sequence[str],
        profile: str,
        phones: int,
        capture: Sequence[str] | None,
        worker: str,
        lasting: bool,
        say: Callable[[str], None],
    ) -> None:
        self._files, self._profile, self._phones, self._capture = tuple(files), profile, phones, capture
        self._name = f"pytest-{worker}-{os.getpid()}"
        self._lasting, self._say = lasting, say
        self._bed: Bed | None = None
        self._images: dict[str, str] | None = None

    @contextmanager
    def recorded(self, folder: Path, name: str) -> Iterator[BedFixture]:
        """A bed for one test, its recording in ``folder``. Faults are healed afterwards; a bed that does not come to rest is replaced."""
        bed = self._bed if self._lasting and self._bed is not None else None
        is_new = bed is None
        if bed is None:
            recorder = Recorder(folder / "history.jsonl")
            bed = self._up(recorder, folder)
        else:
            bed.recorder.write_to(folder / "history.jsonl")
        self._bed = bed
        episode = Episode(bed, folder, _scenario_name(name), self._captured(bed.topology), self._profile)
        try:
            episode.begin(captures_run=is_new)
            fixture = BedFixture(bed, episode)
            try:
                yield fixture
            finally:
                fixture.fault.heal_all()
                episode.end()
        except BaseException:
            self._drop()
            raise
        if not self._lasting or not _is_at_rest(bed):
            self._drop()

    def close(self) -> None:
        """The bed is removed, if there is one."""
        self._drop()

    def _up(self, recorder: Recorder, folder: Path) -> Bed:
        if self._images is None:
            self._images = build_all(self._say)
        spec = BedSpec(name=self._name, files=compose_files(self._files), phones=self._phones, profile=self._profile)
        return Bed.up(
            spec,
            images=self._images,
            recorder=recorder,
            progress=self._say,
            capture_at=self._captured,
            captures_folder=folder / "captures",
        )

    def _captured(self, topology: Topology) -> tuple[str, ...]:
        if self._capture is not None:
            return tuple(topology.host(name).name for name in self._capture)
        return tuple(host.name for host in topology.hosts if host.role in CAPTURED_ROLES)

    def _drop(self) -> None:
        bed, self._bed = self._bed, None
        if bed is not None:
            try:
                bed.down()
            finally:
                bed.recorder.close()


def new_folder(runs: Path, name: str) -> Path:
    """A folder that was not there, named by time and test."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder = runs / f"{stamp}-{_scenario_name(name)}-{uuid.uuid4().hex[:6]}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}", hint="--bed-runs names another folder") from None
    return folder


def _scenario_name(test: str) -> str:
    """The test's name in the letters that a scenario's may have."""
    words = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")
    return words[:MAX_NAME].strip("-") or "test"


def _is_at_rest(bed: Bed) -> bool:
    """Whether the next test can have it: all hosts run and are heard, all phones are at their primary."""
    try:
        return not bed.recorder.unreadable and set(bed.states().values()) == {"running"} and bed.facts.holds("returned")
    except BedError:
        return False
