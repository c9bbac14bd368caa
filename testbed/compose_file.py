"""The generated compose file: every labelled service of a resolved one gets a NIC container that owns its network namespace.

The NIC takes over what Docker ties to the namespace (networks, addresses, names, ports, DNS); the workload joins it with
``network_mode: service:<host>-nic``. The result runs alone too: addresses and routes are in the NIC's environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from testbed.address_block import AddressBlock
from testbed.errors import ScenarioError
from testbed.topology import LABEL, Host, Role, Topology, labels_of

NIC_SUFFIX = "-nic"
FREE_SUBNETS = 100
"""Third octet of the first subnet for networks whose file gives no addresses."""
OWN_IMAGES = ("nic", "node", "slb", "tftp", "proxy")

# Keys that belong to the owner of the namespace: compose refuses them, or Docker ignores them, on a container that joins another's.
_NAMESPACE_KEYS = (
    "networks",
    "ports",
    "expose",
    "hostname",
    "domainname",
    "dns",
    "dns_search",
    "dns_opt",
    "extra_hosts",
    "mac_address",
)


def with_nics(config: Mapping[str, Any], topology: Topology, images: Mapping[str, str]) -> dict[str, Any]:
    """The generated file. ``config`` is what ``compose config`` printed, ``images`` maps ``node`` to ``testbed-node:<hash>``."""
    result = deepcopy(dict(config))
    services: dict[str, Any] = {}
    hosts = {host.name: host for host in topology.hosts}
    earlier_nic: list[str] = []
    for name, service in result["services"].items():
        if service.get("image") in {f"testbed-{image}" for image in OWN_IMAGES}:
            service["image"] = images[service["image"].removeprefix("testbed-")]
        if name in hosts:
            if name + NIC_SUFFIX in result["services"]:
                raise ScenarioError(
                    f"the name {name}{NIC_SUFFIX} is that of the NIC of {name}",
                    file=topology.files[-1] if topology.files else "compose file",
                    path=f"services.{name}{NIC_SUFFIX}",
                    hint="give your service another name",
                )
            # One after another: engines before 28 may miscount the endpoints of a network that several containers join at once,
            # and then never let it be removed (moby#42119).
            services[name + NIC_SUFFIX] = {
                **_nic(hosts[name], service, topology, images["nic"]),
                "depends_on": earlier_nic,
            }
            earlier_nic = [name + NIC_SUFFIX]
            services[name] = _workload(hosts[name], service, topology)
        else:
            services[name] = service
    result["services"] = services
    return result


def within_block(config: Mapping[str, Any], block: AddressBlock) -> dict[str, Any]:
    """Every network internal and, where the file gives it no addresses, a /24 in the bed's own block; no port published.

    A bed's packets never go anywhere but to its own containers, whosever compose file it is.
    """
    result = deepcopy(dict(config))
    networks = result.setdefault("networks", {})
    for service in result["services"].values():
        service.pop("ports", None)
        for name in _mapping(service.get("networks")) if not service.get("network_mode") else ():
            networks.setdefault(name, None)
    for place, (name, options) in enumerate(sorted(networks.items())):
        options = dict(options or {})
        if options.get("external"):
            raise ScenarioError(
                "a network of a bed cannot be external: its packets would leave the bed",
                file="compose file",
                path=f"networks.{name}.external",
                hint="give the bed a network of its own",
            )
        options["internal"] = True
        if not (options.get("ipam") or {}).get("config"):
            options["ipam"] = {"config": [{"subnet": f"{block.prefix}.{FREE_SUBNETS + place}.0/24"}]}
        networks[name] = options
    return result


def active_services(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without services of a profile nobody asked for (compose 1.29 prints them, 2.x does not)."""
    services = {
        name: service for name, service in (config.get("services") or {}).items() if not service.get("profiles")
    }
    return {**config, "services": services}


def _nic(host: Host, service: Mapping[str, Any], topology: Topology, image: str) -> dict[str, Any]:
    if service.get("network_mode"):
        raise ScenarioError(
            "a labelled service cannot have network_mode: its NIC owns its network",
            file=topology.files[-1] if topology.files else "compose file",
            path=f"services.{host.name}.network_mode",
            hint="remove network_mode, or the testbed labels",
        )
    nic = {key: deepcopy(service[key]) for key in _NAMESPACE_KEYS if key in service}
    sysctls = {key: value for key, value in _mapping(service.get("sysctls")).items() if key.startswith("net.")}
    if host.addresses:
        # A server may start before its NIC has added the further addresses, and must be able to listen on them all the same.
        sysctls = {"net.ipv4.ip_nonlocal_bind": 1, **sysctls}
    if sysctls:
        nic["sysctls"] = sysctls
    networks = nic.get("networks") or {"default": None}
    nic["networks"] = {network: _with_alias(options, host.name) for network, options in _mapping(networks).items()}
    return {
        **nic,
        "image": image,
        "hostname": nic.get("hostname", host.name),
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": ["NET_ADMIN", "NET_RAW"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "no",
        "mem_limit": "512m",
        "pids_limit": 100,
        "tmpfs": ["/run:mode=755,size=1m"],
        "labels": {LABEL + "bed": topology.bed, LABEL + "nic": host.name},
        "environment": {
            "TESTBED_HOST": host.name,
            "TESTBED_ADDRESSES": " ".join(host.addresses),
            "TESTBED_LOCAL_PREFIX": host.phone_prefix,
            "TESTBED_ROUTES": ",".join(_routes(host, topology)),
            **_uplink(host),
        },
    }


def _uplink(host: Host) -> dict[str, str]:
    return {"TESTBED_UPLINK": f"{host.uplink_bit_s:.0f} {host.uplink_queue}"} if host.uplink_bit_s else {}


def _routes(host: Host, topology: Topology) -> list[str]:
    """Each fleet's phones are reached via the fleet's own address, as a router between voice and server VLAN would have it."""
    networks = {link.network for link in host.links}
    return [
        f"{fleet.phone_prefix} via {link.address}"
        for fleet in topology.hosts
        for link in fleet.links[:1]
        if fleet.name != host.name and fleet.phone_prefix and link.network in networks and link.address
    ]


def _workload(host: Host, service: Mapping[str, Any], topology: Topology) -> dict[str, Any]:
    workload = {key: value for key, value in service.items() if key not in _NAMESPACE_KEYS}
    sysctls = {key: value for key, value in _mapping(service.get("sysctls")).items() if not key.startswith("net.")}
    workload.pop("sysctls", None)
    if sysctls:
        workload["sysctls"] = sysctls
    workload["network_mode"] = f"service:{host.name}{NIC_SUFFIX}"
    workload["labels"] = {**labels_of(service), LABEL + "bed": topology.bed, LABEL + "workload": host.name}
    workload["environment"] = {**_mapping(service.get("environment")), **environment_of(host, topology)}
    return workload


def environment_of(host: Host, topology: Topology) -> dict[str, str]:
    """What every workload is told about the bed, and a phones host about its phones."""
    told = {
        "TESTBED_HOST": host.name,
        "TESTBED_PROFILE": topology.profile,
        "TESTBED_PREFIX": topology.prefix,
        "TESTBED_HOSTS": json.dumps({other.name: other.address for other in topology.hosts if other.address}),
        "TESTBED_NAMES": " ".join(other.name for other in topology.hosts),
    }
    if host.role is Role.PHONE:
        servers = topology.with_role(Role.TFTP_SERVER)
        told |= {
            "TESTBED_PHONE_COUNT": str(host.phones),
            "TESTBED_FIRST_PHONE": str(host.first_phone),
            "TESTBED_PHONE_PREFIX": host.phone_prefix,
            "TESTBED_TFTP_SERVER": servers[0].address if servers else "",
        }
    # compose expands `$` in values; none of ours is meant to be.
    return {key: value.replace("$", "$$") for key, value in told.items()}


def _with_alias(options: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    options = dict(options or {})
    return {**options, "aliases": sorted({*options.get("aliases", ()), name})}


def _mapping(value: Any) -> dict[str, Any]:
    """Compose's two forms of a mapping, ``{a: b}`` and ``[a=b]``, as the first."""
    if not value:
        return {}
    if isinstance(value, list):
        pairs = (str(item).partition("=") for item in value)
        return {key: rest if sign else None for key, sign, rest in pairs}
    return dict(value)
