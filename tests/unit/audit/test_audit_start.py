"""What a command loads before it does anything is what it takes to start: the plain ones load nothing of the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from recordings import Connection, Wire, sccp

_TELL = """
import sys
from testbed.cli import cli, warn_of_plugins
cli(sys.argv[1:], standalone_mode=False)
warn_of_plugins()
print(*sys.modules, file=sys.stderr)
"""
SLOW = {"pydantic", "docker", "requests", "tenacity", "testbed.policy", "testbed.plugins", "numpy.ma"}
PARTS = {
    f"testbed.audit.{name}" for name in ("compare", "follow", "html_report", "junit", "learn", "ladder_svg", "markup")
}


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (["audit"], SLOW | PARTS | {"testbed.audit.ladder"}),
        (["audit", "--hops"], (SLOW - {"numpy.ma"}) | PARTS - {"testbed.audit.compare"}),
        (["ladder"], SLOW | PARTS),
    ],
)
def test_a_plain_command_loads_no_part_that_it_was_not_asked_for(
    tmp_path: Path, words: list[str], without: set[str]
) -> None:
    wire = Wire()
    connection = Connection(wires=[wire], client=("10.0.0.1", 50_000), server=("10.0.1.1", 2000))
    for place in range(20):
        connection.send(place, sccp(0), up=True)
    (tmp_path / "x.pcap").write_bytes(wire.pcap())
    files = [str(tmp_path / "x.pcap")] * (2 if "--hops" in words else 1)
    done = subprocess.run([sys.executable, "-c", _TELL, *words, *files], capture_output=True, text=True, check=True)
    assert "testbed.audit.command" in done.stderr.split()
    assert not without & set(done.stderr.split())
