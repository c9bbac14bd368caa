from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterable, Iterator

import pytest

from testbed.roles import features as module
from testbed.roles import netlink


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    module.features.cache_clear()
    yield
    module.features.cache_clear()


@pytest.mark.parametrize(
    ("kinds", "queues", "expected"),
    [
        ({"tbf", "ifb"}, True, ["tbf", "ifb", "nfqueue"]),
        ({"netem", "prio"}, False, ["netem", "prio", "netem-out"]),
        ({"netem", "prio", "tbf", "ifb"}, True, ["netem", "prio", "tbf", "ifb", "netem-out", "netem-in", "nfqueue"]),
        (set(), False, []),
    ],
)
def test_netem_is_usable_one_way_or_the_other_where_all_it_takes_is_there(
    monkeypatch: pytest.MonkeyPatch, kinds: set[str], queues: bool, expected: list[str]
):
    monkeypatch.setattr(module, "knows_qdisc", kinds.__contains__)
    monkeypatch.setattr(module, "knows_link", kinds.__contains__)
    monkeypatch.setattr(module, "_has_queues", lambda: queues)
    assert module.features() == expected


def test_the_kernel_is_asked_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(module, "knows_qdisc", lambda kind: bool(asked.append(kind)))
    monkeypatch.setattr(module, "knows_link", lambda kind: False)
    monkeypatch.setattr(module, "_has_queues", lambda: False)
    module.features()
    module.features()
    assert asked == ["netem", "prio", "tbf"]


class Kernel:
    """Answers netlink messages with an error of ours and keeps what was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
        self.sent: list[bytes] = []
        self._error = error
        monkeypatch.setattr(netlink, "ask", self._ask)

    def _ask(self, protocol: int, messages: Iterable[bytes], number: int = 1) -> int:
        self.sent += messages
        return self._error


@pytest.mark.parametrize("ask", [netlink.knows_qdisc, netlink.knows_link])
def test_a_kind_is_known_where_only_its_parameters_are_refused(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], bool]
):
    for error, known in ((errno.EINVAL, True), (errno.ENOENT, False), (errno.EOPNOTSUPP, False), (0, False)):
        kernel = Kernel(monkeypatch, error)
        assert ask("netem") is known
        assert b"netem\0" in kernel.sent[0]


def test_the_rule_of_a_queue_is_one_transaction_with_a_bypass(monkeypatch: pytest.MonkeyPatch):
    kernel = Kernel(monkeypatch, 0)
    netlink.add_queue_rule("testbed_x", "held", 0x7E57)
    begin, rule, end = kernel.sent
    kinds = [struct.unpack_from("=LH", sent)[1] for sent in (begin, rule, end)]
    assert kinds == [0x10, (10 << 8) | 6, 0x11]
    assert all(struct.unpack_from("=L", sent)[0] == len(sent) for sent in kernel.sent)
    assert b"NFQUEUE\0" in rule
    assert struct.pack("=HHH", 0x7E57, 1, 1) in rule
    assert {b"testbed_x\0", b"held\0"} <= {rule[rule.find(word) :][: len(word)] for word in (b"testbed_x\0", b"held\0")}


def test_a_chain_that_is_gone_counts_as_empty_and_any_other_error_is_one(monkeypatch: pytest.MonkeyPatch):
    Kernel(monkeypatch, errno.ENOENT)
    netlink.remove_rules("testbed_x", "held")
    with pytest.raises(RuntimeError, match="ENOENT"):
        netlink.add_queue_rule("testbed_x", "held", 1)
    Kernel(monkeypatch, errno.EPERM)
    with pytest.raises(RuntimeError, match="EPERM"):
        netlink.remove_rules("testbed_x", "held")
