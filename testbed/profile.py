"""Timer profiles: the same behaviour at real speed (``srnd``) and scaled down for every push (``quick``).

All values in seconds. Sources of the real figures: keepalive 30 s, second keepalive 60 s, three missed keepalives, TCP gives up
20-25 s after the first keepalive that gets no answer, a rejected device comes back after 10 s.
"""

from __future__ import annotations

from dataclasses import dataclass

KEEPALIVE_MISSES = 3
"""A call control that answers nothing for this many keepalive intervals is lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One set of timers; part of every scenario and of every report."""

    name: str
    keepalive_s: float
    """Between KeepAlives to the active call control; sent to the phone in RegisterAck (whole seconds)."""
    secondary_keepalive_s: float
    """Between KeepAlives on the standby connection; also how often a lost better call control is tried again."""
    tcp_give_up_s: float
    """TCP_USER_TIMEOUT of a phone's SCCP connection: how long sent data may stay unacknowledged."""
    connect_timeout_s: float
    """How long a phone waits for a TCP connection to a call control."""
    register_timeout_s: float
    """How long a phone waits for the end of registration before it tries the next call control."""
    reject_retry_s: float
    """How long a phone waits after RegisterReject before it tries again."""
    token_retry_s: float
    """The wait a call control asks for in RegisterTokenReject."""
    http_timeout_s: float
    """How long a phone waits for a page."""
    idle_s: float
    """``idleTimeout`` of the bed's own SEP files."""

    @property
    def freeze_detection_s(self) -> tuple[float, float]:
        """Shortest and longest time from a freeze to its detection: three intervals after the last answered keepalive."""
        return (KEEPALIVE_MISSES - 1) * self.keepalive_s, KEEPALIVE_MISSES * self.keepalive_s

    @property
    def cut_detection_s(self) -> tuple[float, float]:
        """Shortest and longest time from a cut to its detection: the next keepalive plus TCP's give-up.

        TCP checks its limit when a retransmission timer fires, so it overshoots: 0.75 s was measured to fire at 1.2 s.
        """
        return self.tcp_give_up_s, self.keepalive_s + 1.6 * self.tcp_give_up_s + 0.2


PROFILES = {
    "srnd": Profile(
        name="srnd",
        keepalive_s=30,
        secondary_keepalive_s=60,
        tcp_give_up_s=22,
        connect_timeout_s=10,
        register_timeout_s=30,
        reject_retry_s=10,
        token_retry_s=60,
        http_timeout_s=20,
        idle_s=60,
    ),
    "quick": Profile(
        name="quick",
        keepalive_s=1,
        secondary_keepalive_s=2,
        tcp_give_up_s=0.75,
        connect_timeout_s=0.5,
        register_timeout_s=1.5,
        reject_retry_s=0.5,
        token_retry_s=1,
        http_timeout_s=4,
        idle_s=3,
    ),
}
