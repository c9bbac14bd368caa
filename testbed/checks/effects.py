"""Whether every fault of a run is proved: by packets and events, when it began to take effect and when it ended. No proof, no verdict.

``PROOFS`` has one for every kind of fault. Somebody else's kind brings its own (entry points ``testbed.proofs``, named as the kind), or is
proved as the kind that it is made from, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from testbed.checks.base import CheckKind, Params
from testbed.checks.effect import Effect
from testbed.checks.effect_application import prove_http_error, prove_http_slow, prove_register_reject
from testbed.checks.effect_host import prove_gone, prove_power_off, prove_restart
from testbed.checks.effect_impairment import prove_impairment
from testbed.checks.effect_link import prove_cut, prove_flap, prove_link_down
from testbed.checks.effect_marking import prove_bleach, prove_remark
from testbed.checks.effect_packets import Observed
from testbed.checks.effect_reject import prove_reject
from testbed.checks.effect_silent import prove_silent
from testbed.checks.facts import FaultWindow, fault_windows, first, quantiles, seen, some
from testbed.faults import KINDS as FAULTS
from testbed.plugins import PROOFS as PLUG_INS
from testbed.plugins import NotAKind, Registry, guarded
from testbed.recording import Run
from testbed.verdict import Evidence, Status, Verdict

Proof = Callable[[Observed, FaultWindow], Effect]

_OWN: dict[str, Proof] = {
    "stop": prove_gone,
    "kill": prove_gone,
    "freeze": prove_silent,
    "restart": prove_restart,
    "power-off": prove_power_off,
    "cut": prove_cut,
    "cut-in": prove_cut,
    "cut-out": prove_cut,
    "link-down": prove_link_down,
    "reject": prove_reject,
    "flap": prove_flap,
    **dict.fromkeys(("impair", "delay", "jitter", "loss", "rate", "duplicate", "reorder", "corrupt"), prove_impairment),
    "bleach": prove_bleach,
    "remark": prove_remark,
    "http-error": prove_http_error,
    "http-slow": prove_http_slow,
    "register-reject": prove_register_reject,
    "mute": prove_silent,
}


def _accepted(word: str, value: object, origin: str) -> Proof:
    """The proof that an entry point stands for: whatever it raises is a doubt."""
    if not callable(value):
        raise NotAKind("is no proof: a function of what was observed and the fault's window")

    def proof(observed: Observed, window: FaultWindow) -> Effect:
        def otherwise(said: str) -> Effect:
            return Effect(window=window, doubts=(f"the proof of {origin} broke: {said}",))

        effect = guarded(value, otherwise)(observed, window)
        if not isinstance(effect, Effect):
            return otherwise(f"it gave {type(effect).__name__}, not an Effect")
        return effect

    return proof


PROOFS: Registry[Proof] = Registry(PLUG_INS, _OWN.items(), _accepted)


class EffectsParams(Params):
    """No parameters."""


def proof_of(kind: str) -> Proof | None:
    """That of the kind, or of the nearest kind that its class is made from."""
    if kind in PROOFS or kind not in FAULTS:
        return PROOFS.get(kind)
    ancestors = [getattr(base, "kind", "") for base in FAULTS[kind].__mro__]
    return next((PROOFS[ancestor] for ancestor in ancestors if ancestor in PROOFS), None)


_KNOWN: WeakKeyDictionary[Run, tuple[Effect, ...]] = WeakKeyDictionary()
"""Several verdicts ask for the same."""


def effects(run: Run) -> tuple[Effect, ...]:
    """Of every confirmed fault of the run, in order of time."""
    if run not in _KNOWN:
        windows = fault_windows(run)
        observed = Observed(run, windows)
        _KNOWN[run] = tuple(_effect(observed, window) for window in windows)
    return _KNOWN[run]


def _effect(observed: Observed, window: FaultWindow) -> Effect:
    proof = proof_of(window.kind)
    if proof is None:
        return Effect(window=window, doubts=(f"nobody knows how to prove a {window.kind}",))
    known = {host.name for host in observed.run.topology.hosts}
    if strangers := [host for host in window.hosts if host not in known]:
        return Effect(window=window, doubts=(f"the bed has no host {', '.join(strangers)}",))
    effect = proof(observed, window)
    return replace(effect, doubts=(window.residue, *effect.doubts)) if window.residue else effect


def effect_of(run: Run, window: FaultWindow) -> Effect | None:
    """That of this fault."""
    return next((effect for effect in effects(run) if effect.window.confirmed == window.confirmed), None)


def judge_effects(run: Run, params: EffectsParams) -> Verdict:
    """One line of evidence for each fault, then the packets that show it. Never a FAIL: a fault that did not happen shows nothing."""
    found = effects(run)
    figures = _figures(found)
    if not found:
        reason = "no fault was confirmed" if seen(run, "FaultIntended") else "there was no fault"
        return Verdict(check="effects", status=Status.INCONCLUSIVE, summary=reason, figures=figures)
    evidence = [_line(effect) for effect in found]
    for effect in found:
        edges = [edge for edge in (effect.began, effect.ended) if edge]
        evidence += first(item for edge in edges for item in edge.evidence)
    unproved = [effect for effect in found if not effect.proved]
    if unproved:
        reasons = some([f"{effect.window}: {_doubt(effect)}" for effect in unproved], most=2)
        summary = f"{len(unproved)} of {len(found)} faults are not proved: {reasons}"
        return Verdict(
            check="effects", status=Status.INCONCLUSIVE, summary=summary, evidence=tuple(evidence), figures=figures
        )
    summary = f"{len(found)} of {len(found)} faults proved by packets{_latency(figures)}"
    return Verdict(check="effects", status=Status.PASS, summary=summary, evidence=tuple(evidence), figures=figures)


def _doubt(effect: Effect) -> str:
    return effect.doubts[0] if effect.doubts else "packets do not show when it began and ended"


def _line(effect: Effect) -> Evidence:
    """``cut ccm-1: in effect 4 ms after the command (packets 3 to 23 ms), healed …``."""
    window, words = effect.window, []
    for edge, begin_s, name in (
        (effect.began, window.began_s, "in effect"),
        (effect.ended, window.healing_s, "over"),
    ):
        if edge is not None:
            sharp = "" if edge.before_s is None else f", at most {(edge.after_s - edge.before_s) * 1000:.0f} ms earlier"
            words.append(f"{name} {(edge.after_s - begin_s) * 1000:.0f} ms after the command by packets{sharp}")
    words += [*effect.notes, *(f"not proved: {doubt}" for doubt in effect.doubts)]
    return window.confirmed.proves(f"{window}: {'; '.join(words) or 'not proved'}")


def _figures(found: Sequence[Effect]) -> dict[str, float]:
    figures = {"faults": float(len(found)), "proved": float(sum(effect.proved for effect in found))}
    for name, values in (
        ("command_to_effect", [effect.command_to_effect_s for effect in found]),
        ("heal_to_effect", [effect.heal_to_effect_s for effect in found]),
        ("confirmed", [effect.window.effect_s - effect.window.began_s for effect in found]),
    ):
        figures |= quantiles(name, [value for value in values if value is not None])
    widths = [edge.after_s - edge.before_s for effect in found if (edge := effect.began) and edge.before_s is not None]
    figures |= quantiles("bracket", widths)
    for effect in found:
        figures |= {f"{effect.window.kind}_{name}": value for name, value in effect.figures.items()}
    return figures


def _latency(figures: dict[str, float]) -> str:
    words = [
        f"{word} {figures[f'{name}_p95_s'] * 1000:.0f} ms"
        for name, word in (("command_to_effect", "command to effect"), ("heal_to_effect", "healing to effect"))
        if f"{name}_p95_s" in figures
    ]
    return f"; p95: {', '.join(words)}" if words else ""


EFFECTS = CheckKind(
    name="effects",
    params=EffectsParams,
    judge=judge_effects,
    help=(
        "implied: packets and events show of every fault when it began and when it ended to take effect; a "
        "fault without proof proves nothing"
    ),
)
