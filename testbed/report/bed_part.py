"""The bed drawn: networks as lines, hosts as boxes on them, and at which hosts the faults were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from testbed.report.markup import Child, Html, joined, scrolling, tag
from testbed.report.reading import Told
from testbed.topology import Host, Role, Topology

BOX_WIDTH, BOX_HEIGHT, STEP = 138.0, 66.0, 156.0
ROW = 118.0
"""From a network's line to the middle of the boxes above or below it, twice."""
_ABOVE = (Role.PHONE, Role.CLIENT, Role.SLB, Role.TFTP_SERVER)
_LETTERS = 19


def bed(told: Told) -> Html:
    """The figure, with what stands in it as its description."""
    topology = told.run.topology
    faults: dict[str, list[str]] = {}
    for window in told.windows:
        words = f"{window.kind} {window.confirmed['target'] or window.target}"
        for host in window.hosts:
            if words not in faults.setdefault(host, []):
                faults[host].append(words)
    drawing = _drawing(topology, faults)
    hit = "; ".join(f"{host}: {', '.join(words)}" for host, words in faults.items())
    caption = f"{len(topology.hosts)} hosts, block {topology.prefix}. " + (f"Faults at {hit}." if hit else "No fault.")
    return tag("figure", tag("figcaption", caption), scrolling(drawing, "the bed as a drawing"))


def _drawing(topology: Topology, faults: Mapping[str, Sequence[str]]) -> Html:
    networks = _networks(topology)
    rows = _rows(topology, networks)
    width = max(720.0, STEP * max((len(row) for row in rows), default=1) + 20)
    parts: list[Child] = []
    centres: dict[str, tuple[float, float]] = {}
    for place, row in enumerate(rows):
        for column, host in enumerate(row):
            x = width / 2 + (column - (len(row) - 1) / 2) * STEP
            centres[host.name] = (x, 24 + BOX_HEIGHT / 2 + place * 2 * ROW)
    for place, network in enumerate(networks):
        y = _bus_y(place)
        parts.append(tag("line", x1=24, x2=width - 24, y1=y, y2=y, class_="bus"))
        parts.append(tag("text", _short(network, 40), x=24, y=y - 8, class_="soft"))
    for host in topology.hosts:
        for link in host.links:
            if link.network in networks and host.name in centres:
                parts.append(_wire(host, centres[host.name], _bus_y(networks.index(link.network))))
    parts += [
        _box(host, centres[host.name], faults.get(host.name, ())) for host in topology.hosts if host.name in centres
    ]
    height = 24 + BOX_HEIGHT + (len(rows) - 1) * 2 * ROW + 24
    return tag(
        "svg",
        parts,
        viewBox=f"0 0 {width:g} {height:g}",
        class_="wide",
        role="img",
        aria_label=_description(topology, faults),
        data_marks="bed",
    )


def _bus_y(place: int) -> float:
    return 24 + BOX_HEIGHT / 2 + ROW + place * 2 * ROW


def _networks(topology: Topology) -> list[str]:
    """The one with the most hosts first."""
    counts: dict[str, int] = {}
    for host in topology.hosts:
        for link in host.links:
            counts[link.network] = counts.get(link.network, 0) + 1
    return sorted(counts, key=lambda network: -counts[network])


def _rows(topology: Topology, networks: Sequence[str]) -> list[list[Host]]:
    """Row n lies between network n - 1 and network n: who asks above the first one, who is asked and who is in two below it."""
    rows: list[list[Host]] = [[] for _ in range(len(networks) + 1)]
    for host in sorted(topology.hosts, key=lambda host: (list(Role).index(host.role), host.rank, host.name)):
        places = sorted(networks.index(link.network) for link in host.links)
        if not places:
            rows[0].append(host)
        elif len(set(places)) > 1:
            rows[places[-1]].append(host)
        elif places[0] == 0 and host.role in _ABOVE:
            rows[0].append(host)
        else:
            rows[places[0] + 1].append(host)
    if len(networks) == 1 and not rows[0]:
        half = len(rows[1]) // 2
        rows = [rows[1][:half], rows[1][half:]]
    return rows


def _wire(host: Host, centre: tuple[float, float], bus_y: float) -> Html:
    return tag("line", x1=centre[0], x2=centre[0], y1=centre[1], y2=bus_y, class_="wire")


def _box(host: Host, centre: tuple[float, float], faults: Sequence[str]) -> Html:
    left, top = centre[0] - BOX_WIDTH / 2, centre[1] - BOX_HEIGHT / 2
    about = f"{host.phones} phones" if host.phones else str(host.role)
    addresses = [host.address, *host.addresses]
    lines = [
        tag("text", _short(host.name), x=centre[0], y=top + 18, text_anchor="middle", class_="strong"),
        tag("text", _short(about), x=centre[0], y=top + 34, text_anchor="middle", class_="soft"),
        tag("text", _short(host.address), x=centre[0], y=top + 50, text_anchor="middle", class_="soft"),
    ]
    if faults:
        text = _short("⚡ " + ", ".join(dict.fromkeys(word.partition(" ")[0] for word in faults)), 22)
        lines.append(tag("text", text, x=centre[0], y=top + BOX_HEIGHT + 15, text_anchor="middle", class_="hit"))
    title = [
        f"{host.name}: {host.role}",
        f"addresses {', '.join(filter(None, addresses))}",
        *(f"fault: {word}" for word in faults),
    ]
    box = tag("rect", x=left, y=top, width=BOX_WIDTH, height=BOX_HEIGHT, rx=6, class_="box hit" if faults else "box")
    return tag("g", tag("title", "\n".join(title)), box, joined(lines), class_="mark")


def _short(text: str, most: int = _LETTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _description(topology: Topology, faults: Mapping[str, Sequence[str]]) -> str:
    hosts = ", ".join(f"{host.name} ({host.role})" for host in topology.hosts)
    hit = "; ".join(f"{', '.join(words)} at {host}" for host, words in faults.items())
    return f"The bed: {hosts}. " + (f"Faults: {hit}." if hit else "No fault.")
