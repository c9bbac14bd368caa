"""The one way to wait: for a fact, until a deadline, and say what was seen instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from testbed.errors import NotReady

T = TypeVar("T")


def pause(seconds: float) -> None:
    """What has to go on for a while before the next thing may begin, goes on."""
    time.sleep(seconds)


def wait_until(
    fact: Callable[[], T],
    *,
    awaited: str,
    timeout_s: float,
    last_seen: Callable[[], str] = lambda: "nothing",
    log_tail: Callable[[], str] = lambda: "",
    poll_s: float = 0.02,
) -> T:
    """The first true value of ``fact``; NotReady with what was seen last where none comes within ``timeout_s``."""
    try:
        return Retrying(
            stop=stop_after_delay(timeout_s), wait=wait_fixed(poll_s), retry=retry_if_result(lambda value: not value)
        )(fact)
    except RetryError:
        raise NotReady(awaited, timeout_s=timeout_s, last_seen=last_seen(), log_tail=log_tail()) from None
