"""From a user's compose files to the one that is brought up: resolved, in a free block, with NICs and rendered mounts. Starts nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from testbed import state
from testbed.address_block import AddressBlock, free_block
from testbed.compose_file import OWN_IMAGES, active_services, with_nics, within_block
from testbed.document import read_document
from testbed.engine import compose, containers, network
from testbed.errors import UsageError
from testbed.overlay import standalone
from testbed.rendering import mounted_source, rendered_mounts
from testbed.scenario import shipped_beds
from testbed.topology import Host, Link, Topology, topology_of


@dataclass(frozen=True, kw_only=True, slots=True)
class BedSpec:
    """What to bring up: compose files, how many phones, which timers. ``prefix`` asks for a block of addresses."""

    name: str
    files: tuple[Path, ...]
    phones: int
    profile: str
    prefix: str | None = None


def generate(
    spec: BedSpec, images: dict[str, str], check: Callable[[Topology], None], avoid: Iterable[str] = ()
) -> tuple[Topology, Path, AddressBlock]:
    """Resolve the compose files, choose a block, write the generated compose file and what it mounts. Nothing is started.

    ``check`` may refuse the topology before anything is written; blocks in ``avoid`` (CIDRs) are not chosen.
    """
    block = free_block([*network.taken(), *avoid], wanted=spec.prefix or os.environ.get("BED_PREFIX"))
    topology, config = resolve(spec, block)
    check(topology)
    config = within_block(with_nics(config, topology, images), block)
    values = {**block.values, "IDLE_TIMEOUT": f"{topology.timers.idle_s:g}"}
    folder = state.bed_folder(spec.name)
    for host in topology.hosts:
        service = config["services"][host.name]
        if service.get("volumes"):
            service["volumes"] = rendered_mounts(service, folder / "files" / host.name, values, topology.phones)
    file = state.write_bed(topology, yaml.safe_dump(config, sort_keys=False))
    return topology, file, block


def resolve(spec: BedSpec, block: AddressBlock) -> tuple[Topology, dict[str, Any]]:
    """Topology and resolved configuration of the spec's compose files in this block."""
    for file in spec.files:
        if not file.is_file():
            raise UsageError(
                f"no compose file {file}",
                hint="built in: bed.yaml and its overlays; paths are relative to where you are",
            )
        read_document(file)
    with tempfile.TemporaryDirectory(prefix="testbed-") as folder:
        files = standalone(spec.files, Path(folder))
        config = active_services(
            compose.resolve(files, originals=spec.files, project=containers.project_of(spec.name), env=block.values)
        )
    topology = topology_of(
        config,
        bed=spec.name,
        prefix=block.cidr,
        profile=spec.profile,
        phones=spec.phones,
        files=tuple(str(file) for file in spec.files),
    )
    hosts = tuple(replace(host, ours=_is_ours(config["services"][host.name])) for host in topology.hosts)
    return replace(topology, hosts=hosts), config


def _is_ours(service: dict[str, Any]) -> bool:
    """Whether image and mounted files are the ones that ship: reports say which hosts ran a user's own."""
    image = str(service.get("image", ""))
    mounts = [mounted_source(volume) for volume in service.get("volumes") or ()]
    return (
        image in {f"testbed-{name}" for name in OWN_IMAGES}
        and "build" not in service
        and all(Path(source).is_relative_to(shipped_beds()) for source in mounts if source)
    )


def with_addresses(topology: Topology, addresses: dict[str, dict[str, str]]) -> Topology:
    """The topology with the addresses Docker handed out filled in."""

    def host_with(host: Host) -> Host:
        own = addresses.get(host.name, {})
        links = tuple(
            Link(host=host.name, network=k.network, address=k.address or own.get(k.network, "")) for k in host.links
        )
        return replace(host, links=links)

    return replace(topology, hosts=tuple(host_with(host) for host in topology.hosts))
