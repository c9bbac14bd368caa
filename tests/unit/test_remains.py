"""What ``nic heal`` removes: what no living holder holds, and nothing that is not ours. The kernel is stood in for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from testbed.roles import remains

FOREIGN = {
    ("netdev", "operator"),
    ("inet", "testbedlike"),
    ("inet", "testbed_mine"),
    ("ip", "testbed_my_cut_1"),
    ("ip", "my_testbed_cut_1"),
}


class Kernel:
    """Tables, root queueing disciplines and links, and what was run."""

    def __init__(self) -> None:
        self.tables = set(FOREIGN)
        self.qdiscs = {"eth0": "7e57:", "eth1": "8001:"}
        self.links = {"eth0", "eth1", "testbed_12ab34c", "ifb0"}
        self.log: list[str] = []
        self.refuses: set[str] = set()

    def run(self, argv: list[str], text: str | None = None) -> str:
        words = " ".join(argv)
        if words == "nft -j list tables":
            tables = [{"table": {"family": family, "name": name}} for family, name in sorted(self.tables)]
            return json.dumps({"nftables": [{"metainfo": {}}, *tables]})
        if words == "ip -j link show":
            return json.dumps([{"ifname": name} for name in sorted(self.links)])
        if words == "tc -j qdisc show":
            roots = [{"dev": device, "handle": handle, "root": True} for device, handle in self.qdiscs.items()]
            return json.dumps([*roots, {"dev": "eth1", "handle": "7e57:", "parent": "8001:1"}])
        self.log.append(words)
        if words in self.refuses:
            raise RuntimeError(f"{words}: Operation not permitted")
        if argv[:3] == ["nft", "delete", "table"]:
            if (argv[3], argv[4]) not in self.tables:
                raise RuntimeError(f"{words}: Error: No such file or directory")
            self.tables.remove((argv[3], argv[4]))
        elif argv[:3] == ["tc", "qdisc", "del"]:
            del self.qdiscs[argv[4]]
        elif argv[:3] == ["ip", "link", "del"]:
            self.links.remove(argv[3])
        return ""


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(remains, "run", kernel.run)
    return kernel


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """A /proc in which 7 is a holder and 8 something else."""
    folder = tmp_path / "proc"
    for pid, words in ((7, ["python3", "-m", "testbed.roles.nic", "serve"]), (8, ["sleep", "60"])):
        (folder / str(pid)).mkdir(parents=True)
        (folder / str(pid) / "cmdline").write_text("\0".join(words) + "\0")
    return folder


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    folder.mkdir()
    return folder


def record(records: Path, fault_id: str, pid: int, *undo: list[str], age_s: float = 0) -> None:
    path = records / f"{fault_id}.json"
    path.write_text(json.dumps({"id": fault_id, "pid": pid, "undo": [{"argv": argv, "input": None} for argv in undo]}))
    os.utime(path, (1000 - age_s, 1000 - age_s))


def cut(fault_id: str) -> list[str]:
    return ["nft", "delete", "table", "netdev", "testbed_" + fault_id.replace("-", "_")]


def test_faults_of_dead_holders_are_undone_by_their_records_newest_first(
    kernel: Kernel, records: Path, processes: Path
):
    kernel.tables |= {("netdev", "testbed_cut_00000001"), ("netdev", "testbed_cut_00000002")}
    record(records, "cut-00000001", 99, cut("cut-00000001"), age_s=5)
    record(records, "cut-00000002", 8, cut("cut-00000002"))
    done = remains.heal(records, processes)
    assert done == {"healed": ["cut-00000002", "cut-00000001"], "held": [], "left": []}
    assert kernel.log[:2] == [" ".join(cut("cut-00000002")), " ".join(cut("cut-00000001"))]
    assert kernel.tables == FOREIGN
    assert list(records.iterdir()) == []


def test_what_a_living_holder_holds_stays_and_so_does_what_may_belong_to_it(
    kernel: Kernel, records: Path, processes: Path
):
    kernel.tables |= {("netdev", "testbed_delay_00000001_out0"), ("ip", "testbed_cut_00000009")}
    record(records, "delay-00000001", 7, cut("delay-00000001"))
    done = remains.heal(records, processes)
    assert done == {"healed": [], "held": ["delay-00000001"], "left": []}
    assert kernel.tables == FOREIGN | {("netdev", "testbed_delay_00000001_out0")}
    assert kernel.qdiscs["eth0"] == "7e57:"
    assert "testbed_12ab34c" in kernel.links
    assert (records / "delay-00000001.json").exists()


def test_without_records_the_mark_is_enough_and_what_does_not_carry_it_is_not_ours(
    kernel: Kernel, records: Path, processes: Path
):
    kernel.tables.add(("ip", "testbed_loss_00000012_in0"))
    done: dict[str, Any] = remains.heal(records / "none", processes)
    assert done == {"healed": [], "held": [], "left": []}
    assert kernel.tables == FOREIGN
    assert kernel.qdiscs == {"eth1": "8001:"}
    assert kernel.links == {"eth0", "eth1", "ifb0"}


def test_a_record_that_does_not_parse_is_dropped_and_its_fault_goes_by_the_mark(
    kernel: Kernel, records: Path, processes: Path
):
    kernel.tables.add(("netdev", "testbed_cut_00000001"))
    (records / "cut-00000001.json").write_text('{"id": "cut-00000001", "pi')
    assert remains.heal(records, processes)["left"] == []
    assert kernel.tables == FOREIGN
    assert list(records.iterdir()) == []


def test_a_rule_that_is_gone_already_counts_as_healed_and_one_that_stays_is_named(
    kernel: Kernel, records: Path, processes: Path
):
    kernel.tables.add(("netdev", "testbed_cut_00000002"))
    kernel.refuses.add(" ".join(cut("cut-00000002")))
    record(records, "cut-00000001", 99, cut("cut-00000001"))
    record(records, "cut-00000002", 99, cut("cut-00000002"))
    done = remains.heal(records, processes)
    assert done["healed"] == ["cut-00000001"]
    assert done["left"][-1] == "left: table netdev testbed_cut_00000002"
    assert (records / "cut-00000002.json").exists()
