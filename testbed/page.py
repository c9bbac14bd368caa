"""What the page claims (Cisco IP Telephony SRND, 956662, page 11-6): the vocabulary of a scenario's ``shows``.

A claim is a prediction, also where what it predicts is bad. ``docs/page-matrix.md`` is made from these and from the scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """``says``: the page's own words, or what follows from them (then in brackets). ``predicts``: something goes on, or breaks.
    ``checks``: kinds of expectations that can show it."""

    name: str
    section: str
    says: str
    predicts: Literal["goes on", "breaks"]
    checks: tuple[str, ...]


_FIRST = "Failure scenario 1: connection fails to the call manager"
_SECOND = "Failure scenario 2: connection fails to the web server"
_QUALITY = "Quality of service"

CLAIMS = (
    Claim(
        name="service-depends",
        section=_FIRST,
        says="Redundancy in this case depends upon the functionality of the phone service …",
        predicts="breaks",
        checks=("urls",),
    ),
    Claim(
        name="configuration-decides",
        section=_FIRST,
        says="… as well as on how it is configured.",
        predicts="goes on",
        checks=("urls",),
    ),
    Claim(
        name="phones-rehome",
        section=_FIRST,
        says="When a primary Cisco CallManager server fails, all of the phones re-home to the backup Cisco CallManager server.",
        predicts="goes on",
        checks=("rehomed", "out-of-service"),
    ),
    Claim(
        name="url-settings-kept",
        section=_FIRST,
        says="However, the IP Phone configuration file downloaded from the TFTP server retains the same URL settings.",
        predicts="goes on",
        checks=("config-kept",),
    ),
    Claim(
        name="independent-urls-live",
        section=_FIRST,
        says="The URL settings not dependent upon Cisco CallManager (such as URL Idle and URL Proxy) remain operational.",
        predicts="goes on",
        checks=("urls",),
    ),
    Claim(
        name="dependent-urls-die",
        section=_FIRST,
        says="[The URL settings that name the failed Cisco CallManager do not.]",
        predicts="breaks",
        checks=("urls", "pushed"),
    ),
    Claim(
        name="slb-for-pages",
        section=_FIRST,
        says="You can also provide redundancy by implementing server load balancing. (Figure 11-4)",
        predicts="goes on",
        checks=("urls", "redirected", "pushed"),
    ),
    Claim(
        name="call-control-preserved",
        section=_SECOND,
        says="The connection to the Cisco CallManager server is preserved.",
        predicts="goes on",
        checks=("redirected", "call-control-kept"),
    ),
    Claim(
        name="service-fails",
        section=_SECOND,
        says="The link fails to the web server hosting the user-subscribed phone service. [The service fails with it.]",
        predicts="breaks",
        checks=("urls",),
    ),
    Claim(
        name="services-menu-loads",
        section=_SECOND,
        says="The IP Phone is still able to access the Cisco CallManager server when the Services button is pressed.",
        predicts="goes on",
        checks=("urls",),
    ),
    Claim(
        name="standby-answers",
        section=_SECOND,
        says="You can use […] SLB to redirect the HTTP request from the phone to a hot standby web server.",
        predicts="goes on",
        checks=("redirected", "restored", "urls"),
    ),
    Claim(
        name="signalling-marked",
        section=_QUALITY,
        says="SCCP, TCP 2000: AF31, EF.",
        predicts="goes on",
        checks=("packets",),
    ),
    Claim(
        name="rtp-marked-by-call-manager",
        section=_QUALITY,
        says="RTP: AF31, EF. Automatically set if Cisco CallManager initiates RTP streaming between two IP Phones.",
        predicts="goes on",
        checks=("packets",),
    ),
    Claim(
        name="rtp-unmarked-by-service",
        section=_QUALITY,
        says="RTP: not set if RTP streaming is initiated by an IP Phone service.",
        predicts="breaks",
        checks=("packets", "service-streams"),
    ),
    Claim(
        name="http-unmarked",
        section=_QUALITY,
        says="HTTP, TCP 80: none by default.",
        predicts="breaks",
        checks=("packets",),
    ),
    Claim(
        name="http-marked-by-application",
        section=_QUALITY,
        says="HTTP: traffic must be marked by the application.",
        predicts="goes on",
        checks=("packets",),
    ),
)
"""In the order of the page."""

CLAIM_NAMES = tuple(claim.name for claim in CLAIMS)
