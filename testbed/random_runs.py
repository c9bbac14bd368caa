"""`testbed run --random`: schedules of a seed, drawn for a bed, ready to run; those that fail are saved as scenario files."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.address_block import FIGURE, AddressBlock
from testbed.document import parse_document, validated
from testbed.errors import UsageError
from testbed.generation import BedSpec, resolve
from testbed.policy import policy as check_policy
from testbed.random_schedule import DEFAULT_POLICY, random_scenario
from testbed.scenario import SUFFIX, LoadedScenario, Scenario, dump_scenario, shipped_beds
from testbed.scenario_model import registered_model


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomOptions:
    """``count`` schedules of ``seed`` (None: a new one is drawn) for the bed of these compose files; ``policy``: a name, or a file."""

    count: int
    seed: int | None
    files: tuple[Path, ...]
    phones: int
    profile: str
    policy: str = DEFAULT_POLICY

    def command(self, seed: int) -> str:
        """The command that draws the same schedules again."""
        words = ["testbed", "run", "--random", str(self.count), "--seed", str(seed), "--phones", str(self.phones)]
        words += ["--profile", self.profile]
        words += [word for file in bed_words(self.files) for word in ("-f", file)]
        words += [] if self.policy == DEFAULT_POLICY else ["--policy", self.policy]
        return shlex.join(words)


def new_seed() -> int:
    """A seed that nobody has asked for, short enough to be typed."""
    return secrets.randbelow(100_000)


def drawn(options: RandomOptions, seed: int, runs: Path) -> list[LoadedScenario]:
    """Every schedule of the seed, as if loaded from the file it is saved in if it fails. Starts nothing."""
    spec = BedSpec(name="random", files=options.files, phones=options.phones, profile=options.profile)
    topology, _ = resolve(spec, AddressBlock(FIGURE))
    check_policy(options.policy)
    bed = bed_words(options.files)
    numbers = range(1, options.count + 1)
    scenarios = [random_scenario(topology, seed, number, bed=bed, policy=options.policy) for number in numbers]
    return [as_loaded(scenario, runs) for scenario in scenarios]


def bed_words(files: Sequence[Path]) -> list[str]:
    """Compose files as a scenario names them from anywhere: those that ship by name."""
    shipped = shipped_beds().resolve()
    return [file.name if file.resolve().parent == shipped else str(file.resolve()) for file in files]


def as_loaded(scenario: Scenario, folder: Path) -> LoadedScenario:
    """The scenario as if it had been read from its file in this folder, which need not be there yet."""
    file = folder / (scenario.scenario + SUFFIX)
    document = parse_document(dump_scenario(scenario).encode(), file=str(file))
    return LoadedScenario(scenario=validated(document, registered_model()), file=file, document=document)


def save(loaded: LoadedScenario) -> Path:
    """Write it where it claims to lie; UsageError where that cannot be."""
    try:
        loaded.file.write_text(dump_scenario(loaded.scenario), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {loaded.file}: {error.strerror}", hint="--runs names another folder") from None
    return loaded.file
