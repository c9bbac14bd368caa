"""Installs and starts what a Debian machine lacks: the engine, compose, debootstrap.

Nothing here asks: `obstacle()` says beforehand whether this machine may be changed at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from testbed.engine.client import HINT, connect, find_compose
from testbed.engine.command import Progress, run_command
from testbed.errors import EngineError

DOCKERD_LOG = Path("/var/log/dockerd.log")
PID_FILE = Path("/run/docker.pid")
START_TIMEOUT_S = 60.0
"""A first start makes the data root and its bridge; that took 2 s here, slow disks need more."""

APT_ENV = {"DEBIAN_FRONTEND": "noninteractive"}
APT_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300")
APT_UPDATE = ("apt-get", "update", "-q", "-o", "DPkg::Lock::Timeout=300")
ENGINE_PACKAGES = ("docker.io", "iptables")
"""iptables is only recommended by docker.io, and dockerd does not start without it."""


def obstacle() -> str:
    """Why this machine must not be changed by us; empty where it may."""
    if os.environ.get("TESTBED_NO_INSTALL", "0") not in ("", "0"):
        return "TESTBED_NO_INSTALL is set"
    if not shutil.which("apt-get"):
        return "this is not Debian: there is no apt-get"
    if os.geteuid() != 0:
        return "not root"
    return ""


def is_systemd() -> bool:
    """systemd runs this machine (systemd's own test: sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def compose_package() -> str:
    """The package of compose: the v2 plug-in where apt knows one (Docker's own repository, Ubuntu), else docker-compose."""
    known = "docker-compose-plugin", "docker-compose-v2", "docker-compose"
    return next((name for name in known if has_package(name)), known[-1])


def has_package(name: str) -> bool:
    """apt could install this package."""
    try:
        done = subprocess.run(["apt-cache", "policy", name], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any("Candidate:" in line and "(none)" not in line for line in done.stdout.splitlines())


def install(packages: Sequence[str], progress: Progress) -> None:
    """apt-get update and install; says first what it installs."""
    progress(f"installing by apt-get: {' '.join(packages)}")
    hint = f"mend apt's sources or network, then {HINT}"
    run_command(APT_UPDATE, progress, env=APT_ENV, hint=hint)
    run_command([*APT_INSTALL, *packages], progress, env=APT_ENV, hint=hint)


def ensure_command(command: str, package: str, progress: Progress) -> None:
    """The command is there, or its package gets installed, or EngineError says how to."""
    if shutil.which(command):
        return
    if why := obstacle():
        raise EngineError(f"{command} is missing and may not be installed ({why})", hint=f"apt-get install {package}")
    install([package], progress)


def ensure_engine(progress: Progress) -> None:
    """Install what is missing of engine and compose, and start the engine where it does not answer."""
    missing: list[str] = []
    if not shutil.which("dockerd") and not _answers():
        missing += ENGINE_PACKAGES
    if not _has_compose():
        missing.append(compose_package())
    if missing:
        install(missing, progress)
    if not _answers():
        start_engine(progress)
    find_compose()


def start_engine(progress: Progress) -> None:
    """Start the installed engine and wait until it answers; EngineError with the end of its log when it does not."""
    if is_systemd():
        progress("starting the engine: systemctl start docker")
        run_command(["systemctl", "start", "docker"], progress, hint=f"read {_log_hint()}, then {HINT}")
        process = None
    else:
        _clear_stale_pid_file(progress)
        progress(f"starting the engine: dockerd, log in {DOCKERD_LOG}")
        process = _spawn_dockerd()
    started = time.monotonic()
    try:
        for attempt in Retrying(
            stop=stop_after_delay(START_TIMEOUT_S),
            wait=wait_fixed(0.25),
            retry=retry_if_exception_type(EngineError),
            reraise=True,
        ):
            with attempt:
                _engine_answered(process)
    except (EngineError, ChildProcessError) as error:
        raise EngineError(
            f"the engine did not start: {error}",
            output=_log_tail(),
            hint=f"read {_log_hint()}, then {HINT}",
        ) from error
    progress(f"the engine answers after {time.monotonic() - started:.1f} s")


def _engine_answered(process: subprocess.Popen[bytes] | None) -> None:
    """EngineError: not yet. ChildProcessError: never, it has ended."""
    if process is not None and process.poll() is not None:
        raise ChildProcessError(f"dockerd ended with exit status {process.returncode}")
    connect(timeout_s=5).close()


def _spawn_dockerd() -> subprocess.Popen[bytes]:
    """In a session of its own and with no descriptor of ours: whoever waits for our pipes must not wait for dockerd."""
    with DOCKERD_LOG.open("ab") as log:
        return subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def _clear_stale_pid_file(progress: Progress) -> None:
    """A killed dockerd leaves its pid file; with that pid in use by any program the next one refuses to start."""
    try:
        pid = int(PID_FILE.read_text())
    except (FileNotFoundError, ValueError):
        pid = 0
    owner = process_name(pid) if pid else ""
    if owner == "dockerd":
        raise EngineError(
            f"dockerd runs (process {pid}) but does not answer",
            output=_log_tail(),
            hint=f"kill {pid}; {HINT}",
        )
    if PID_FILE.exists():
        progress(f"removing {PID_FILE}, left behind by an engine that is gone (process {pid}: {owner or 'none'})")
        PID_FILE.unlink()


def process_name(pid: int) -> str:
    """Name of the program with that pid; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _answers() -> bool:
    try:
        connect(timeout_s=5).close()
    except EngineError:
        return False
    return True


def _has_compose() -> bool:
    try:
        find_compose()
    except EngineError:
        return False
    return True


def _log_hint() -> str:
    return "journalctl -u docker" if is_systemd() else str(DOCKERD_LOG)


def _log_tail() -> str:
    if is_systemd() or not DOCKERD_LOG.exists():
        return ""
    return "\n".join(DOCKERD_LOG.read_text(errors="replace").splitlines()[-12:])
