"""The engine's objects as plain values: containers and networks of a bed, found by label, never by name or from memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests
from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container as SdkContainer
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from testbed.engine.client import connect
from testbed.errors import CleanupIncomplete, EngineError

BED_LABEL = "testbed.bed"
NIC_LABEL = "testbed.nic"
WORKLOAD_LABEL = "testbed.workload"
PROJECT_LABEL = "com.docker.compose.project"
STOP_GRACE_S = 3

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container of a bed. ``state`` is Docker's word: created running paused restarting exited dead."""

    id: str
    name: str
    bed: str
    host: str
    is_nic: bool
    image: str
    image_id: str
    state: str
    exit_code: int
    addresses: dict[str, str]
    """Compose's network name -> IPv4 address; empty for a workload, whose NIC has them."""
    joins: str
    """Id of the container whose network namespace it joined, or an empty string."""


def containers(bed: str | None = None) -> list[Container]:
    """All containers of this bed, or of every bed."""
    label = BED_LABEL if bed is None else f"{BED_LABEL}={bed}"
    return _call(
        "list containers",
        lambda client: [
            _value(c) for c in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        ],
    )


def _value(container: SdkContainer) -> Container:
    labels = container.labels
    attrs: dict[str, Any] = container.attrs
    project = labels.get(PROJECT_LABEL, "")
    networks = attrs["NetworkSettings"]["Networks"] or {}
    network_mode = str(attrs["HostConfig"].get("NetworkMode", ""))
    return Container(
        id=container.id or "",
        name=container.name or "",
        bed=labels[BED_LABEL],
        host=labels.get(NIC_LABEL) or labels.get(WORKLOAD_LABEL, ""),
        is_nic=NIC_LABEL in labels,
        image=attrs["Config"]["Image"],
        image_id=attrs["Image"],
        state=attrs["State"]["Status"],
        exit_code=attrs["State"]["ExitCode"],
        joins=network_mode.partition("container:")[2],
        addresses={
            name.removeprefix(f"{project}_"): network["IPAddress"]
            for name, network in networks.items()
            if network.get("IPAddress")
        },
    )


def state_of(container_id: str) -> str:
    """Docker's word for the container's state, ``gone`` where it is no more."""

    def ask(client: DockerClient) -> str:
        try:
            return str(client.containers.get(container_id).status)
        except NotFound:
            return "gone"

    return _call("inspect a container", ask)


def signal_host(container_id: str, action: str) -> None:
    """Do one of stop, kill, pause, unpause, start, restart to a container; returns when the engine has confirmed it."""

    def act(client: DockerClient) -> None:
        container = client.containers.get(container_id)
        if action == "stop":
            container.stop(timeout=STOP_GRACE_S)
        elif action == "restart":
            container.restart(timeout=STOP_GRACE_S)
        elif action == "kill":
            container.kill()
            container.wait(timeout=10)
        else:
            getattr(container, action)()

    _call(f"{action} a container", act)


_EVENT_OF = {
    "stop": "kill",
    "kill": "kill",
    "restart": "kill",
    "pause": "pause",
    "unpause": "unpause",
    "start": "start",
}


def moment_of(container_id: str, action: str, since_s: float) -> float | None:
    """When the engine did this to the container (realtime seconds), by its own event log; None where it has no such event.

    For stop, kill and restart it is the signal's event, not that of the container's end: peers notice the signal.
    """

    def ask(client: DockerClient) -> float | None:
        # Until a moment that has passed: otherwise the engine keeps the stream open and waits for it. The API takes fractions
        # of a second as text, of which the SDK's types know nothing.
        since, until = (cast("int", f"{moment:.6f}") for moment in (since_s, time.time()))
        events = client.api.events(
            since=since,
            until=until,
            filters={"container": container_id, "event": _EVENT_OF[action]},
            decode=True,
        )
        moments = [event["timeNano"] / 1e9 for event in events]
        return next((moment for moment in moments if moment >= since_s), None)

    return _call("read the engine's events", ask)


def remove_bed(bed: str, warn: Callable[[str], None]) -> list[str]:
    """Remove every container, network and volume that carries this bed's label or project, and name them; CleanupIncomplete names
    what stayed. A network that only a restart of the engine would remove is warned of and left."""
    project = project_of(bed)

    def kill_and_remove(container_id: str) -> None:
        def act(client: DockerClient) -> None:
            with contextlib.suppress(NotFound):
                client.api.remove_container(container_id, force=True, v=True)

        _call("remove a container", act)

    own = _call(
        "list containers",
        lambda c: c.containers.list(all=True, filters={"label": f"{PROJECT_LABEL}={project}"}, ignore_removed=True),
    )
    ids = {c.id for c in own} | {c.id for c in containers(bed)}
    workloads_first = sorted(ids, key=lambda i: any(c.id == i and NIC_LABEL in c.labels for c in own))
    with ThreadPoolExecutor(max_workers=6) as pool:
        problems = [
            str(error)
            for future in [pool.submit(kill_and_remove, i) for i in workloads_first if i]
            if (error := future.exception())
        ]
    networks, volumes = _networks_and_volumes(project)
    removed: dict[str, int] = {"containers": len(ids), "networks": 0, "volumes": 0}
    for what, remove, found in (("networks", _remove_network, networks), ("volumes", _remove_volume, volumes)):
        for one in found:
            try:
                remove(one)
                removed[what] += 1
            except EngineError as error:
                if what == "networks" and _is_miscounted(one, error):
                    warn(
                        f"bed {bed}: network {one[:12]} stays: the engine counts an endpoint that is not there (moby#42119);"
                        f" once the engine has been started again, `docker network rm {one[:12]}` removes it"
                    )
                else:
                    problems.append(str(error))
    if problems:
        raise CleanupIncomplete(
            f"bed {bed}: " + "; ".join(problems), hint=f"try `testbed down --name {bed}` again; see `docker network ls`"
        )
    return [f"{count} {what}" for what, count in removed.items() if count]


def _networks_and_volumes(project: str) -> tuple[list[str], list[str]]:
    """Ids of a project's networks, and names of its volumes."""

    def ask(client: DockerClient) -> tuple[list[str], list[str]]:
        filters = {"label": f"{PROJECT_LABEL}={project}"}
        networks = [str(network.id) for network in client.networks.list(filters=filters)]
        return networks, [str(volume.id) for volume in client.volumes.list(filters=filters)]

    return _call("list networks and volumes", ask)


def _remove_volume(name: str) -> None:
    def act(client: DockerClient) -> None:
        with contextlib.suppress(NotFound):
            client.api.remove_volume(name, force=True)

    _call("remove a volume", act)


# A network keeps "active endpoints" for a moment after its containers went.
@retry(retry=retry_if_exception_type(EngineError), stop=stop_after_attempt(10), wait=wait_fixed(0.3), reraise=True)
def _remove_network(network_id: str) -> None:
    def act(client: DockerClient) -> None:
        with contextlib.suppress(NotFound):
            client.api.remove_network(network_id)

    _call("remove a network", act)


def _is_miscounted(network_id: str, error: EngineError) -> bool:
    """Whether the engine refuses to remove a network for endpoints of which it knows none."""
    if "has active endpoints" not in str(error):
        return False
    return not _call("inspect a network", lambda client: client.networks.get(network_id).attrs.get("Containers"))


def project_of(bed: str) -> str:
    """Compose's project name of a bed."""
    return f"testbed-{bed}"


def subnets() -> dict[str, str]:
    """CIDR -> network name of every Docker network."""

    def ask(client: DockerClient) -> dict[str, str]:
        return {
            config["Subnet"]: str(network.name)
            for network in client.networks.list()
            for config in (network.attrs.get("IPAM") or {}).get("Config") or ()
            if config.get("Subnet")
        }

    return _call("list networks", ask)


def log_of(container_id: str, *, tail: int) -> str:
    """The last lines a container printed."""
    return _call(
        "read a log", lambda client: client.containers.get(container_id).logs(tail=tail).decode(errors="replace")
    )


def _call(what: str, action: Callable[[DockerClient], T]) -> T:
    """Run one action with a client of its own (the SDK is not thread-safe), its failures as EngineError."""
    client = connect()
    try:
        return action(client)
    except (APIError, DockerException, requests.RequestException) as error:
        raise EngineError(f"could not {what}: {getattr(error, 'explanation', None) or error}") from error
    finally:
        client.close()
