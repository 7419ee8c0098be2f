"""One model on one target: what is missing, whether it fits flash and RAM, how long it takes.

What is judged is the file that would be flashed. An .onnx for a chip whose runtime reads .tflite is judged as the
.tflite that `edgeasc export` writes of it, where it can be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeasc.audit.document import ModelAudit
from edgeasc.audit.estimate import estimate_energy, estimate_latency
from edgeasc.audit.macs import count_macs
from edgeasc.audit.measured import Measurement, find
from edgeasc.audit.runtimes import Runtime, read_runtime, refusal, unsupported
from edgeasc.audit.stored_count import count_stored
from edgeasc.audit.target_document import Estimate, Room, TargetAudit, Unsupported
from edgeasc.audit.targets import Placed, read_target
from edgeasc.errors import EdgeascError
from edgeasc.graph.stored import StoredModel
from edgeasc.runtime.artefact import Artefact

# What TFLM keeps beside the activations on a 64-bit host, per operator and per output channel of a convolution
# (multiplier and shift); on a 32-bit chip it is less. Fitted to networks of 30 to 204 operators, never below what TFLM
# took for them.
KEPT_PER_OPERATOR, KEPT_PER_CHANNEL = 288, 10
_PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Flashed:
    """The file that goes to a target: its format, size, stored operators and peak of live activations.

    Attributes:
        macs: multiply-accumulates of every operator, in order. note: empty, or how it came out of another format.
    """

    kind: str
    file_bytes: int
    model: StoredModel
    peak_bytes: int
    macs: tuple[int, ...]
    uncounted: tuple[str, ...] = ()
    note: str = ""


def flashed_file(artefact: Artefact, stored: StoredModel, peak_bytes: int) -> Flashed:
    """The artefact's own file as it would be flashed; `peak_bytes` of its activations are known."""
    return _flashed(artefact.kind, len(artefact.payload), stored, peak_bytes)


def lowered_file(artefact: Artefact) -> Flashed | str:
    """The .tflite that `edgeasc export` writes of an .onnx, or why it writes none."""
    from edgeasc.export.tflite import tflite_bytes
    from edgeasc.graph.onnx_read import read_onnx
    from edgeasc.graph.tflite_read import read_tflite

    try:
        payload = tflite_bytes(read_onnx(artefact.payload))
        note = "judged as the .tflite that `edgeasc export --tflite` writes of it"
        model = read_tflite(payload)
        return replace(_flashed("tflite", len(payload), model, count_stored(model).memory.peak), note=note)
    except EdgeascError as error:
        return error.why


def _flashed(kind: str, size: int, model: StoredModel, peak_bytes: int) -> Flashed:
    counts = [count_macs(operator, model.tensors, kind == "tflite") for operator in model.operators]
    unknown = {operator.op for operator, count in zip(model.operators, counts, strict=True) if count is None}
    macs = tuple(count or 0 for count in counts)
    return Flashed(kind, size, model, peak_bytes, macs, tuple(sorted(unknown)))


def audit_target(
    audit: ModelAudit,
    own: Flashed,
    lowered: Flashed | str,
    placed: Placed,
    measurements: Sequence[Measurement] = (),
) -> TargetAudit:
    """The model on the target, by the file in a format that something there reads.

    Args:
        audit: the model's audit; its arena is taken where TFLM measured the very file.
        own: the artefact's file. lowered: the .tflite made of it, or why there is none.
        measurements: bench results, of which one for this file and target takes the place of the estimate.
    """
    target, chosen = placed.target, own if own.kind in placed.target.runtimes else lowered
    base = TargetAudit(placed.label, target.title, target.chip, placed.clock_hz, "", None, None)
    if isinstance(chosen, str):
        reads = ", ".join(f".{kind}" for kind in target.runtimes)
        return replace(base, notes=(f"reads {reads}; this {own.kind} cannot be turned into it: {chosen}",))
    runtime = read_runtime(target.runtimes["tflite" if chosen.kind == "tflite" else "onnx"])
    on_core, numbers = _left_to_core(chosen.model, placed)
    latency = estimate_latency(chosen.model, chosen.macs, placed, numbers)
    energy = estimate_energy(latency, placed)
    measured = find(measurements, audit.sha256, placed.label)
    if measured is not None:
        latency = measured.latency
        energy = measured.energy or estimate_energy(latency, placed)
    return replace(
        base,
        runtime=runtime.name,
        flash=_flash(chosen, placed),
        ram=_ram(audit, chosen, placed),
        missing=_missing(chosen.model, runtime, placed),
        on_core=on_core,
        latency_ms=latency,
        energy_mj=energy,
        notes=_notes(chosen, placed, latency),
    )


def _missing(model: StoredModel, runtime: Runtime, placed: Placed) -> tuple[Unsupported, ...]:
    """Operators that neither the runtime nor the accelerator computes."""
    found = unsupported(model, runtime)
    if not placed.target.accelerator:
        return found
    unit = read_runtime(placed.target.accelerator)
    lacking = [op for op in model.operators if refusal(op, model, unit) and refusal(op, model, runtime)]
    return unsupported(replace(model, operators=tuple(lacking)), runtime)


def _left_to_core(model: StoredModel, placed: Placed) -> tuple[tuple[Unsupported, ...], frozenset[int]]:
    """What the accelerator leaves to its core, and the numbers of these operators."""
    if not placed.target.accelerator:
        return (), frozenset()
    unit = read_runtime(placed.target.accelerator)
    numbers = frozenset(n for n, operator in enumerate(model.operators) if refusal(operator, model, unit))
    return unsupported(model, unit), numbers


def _flash(chosen: Flashed, placed: Placed) -> Room:
    code, kinds = placed.target.code, len({operator.op for operator in chosen.model.operators})
    typical, most = (
        round(getattr(code.core, end) + kinds * getattr(code.per_operator, end)) for end in ("typical", "high")
    )
    parts = f"file {chosen.file_bytes:,} B + runtime about {typical:,} B"
    size = chosen.file_bytes
    return Room(size + typical, size + most, placed.target.flash_bytes, "estimated", parts)


def _ram(audit: ModelAudit, chosen: Flashed, placed: Placed) -> Room:
    beside = placed.target.code.ram
    stack, most = round(beside.typical), round(beside.high)
    own_arena = audit.arena.bytes if chosen.kind == audit.format and not placed.target.accelerator else None
    if own_arena is not None and "tflm" in placed.target.runtimes.values():
        parts = f"arena {own_arena:,} B as TFLM takes it on a 64-bit host (a chip: less) + stack about {stack:,} B"
        return Room(own_arena + stack, own_arena + most, placed.target.ram_bytes, "measured", parts)
    kept = kept_bytes(chosen.model)
    parts = f"live activations {chosen.peak_bytes:,} B + the runtime's own about {kept + stack:,} B"
    needed = chosen.peak_bytes + kept
    return Room(needed + stack, needed + kept + most, placed.target.ram_bytes, "estimated", parts)


def kept_bytes(model: StoredModel) -> int:
    """About what an interpreter keeps for as long as it lives: its operators, and tables per output channel."""
    channels = sum(
        model.tensors[operator.outputs[0]].shape[-1]
        for operator in model.operators
        if operator.op in _PER_CHANNEL and operator.outputs and model.tensors[operator.outputs[0]].shape
    )
    return KEPT_PER_OPERATOR * len(model.operators) + KEPT_PER_CHANNEL * max(channels, 0)


def _notes(chosen: Flashed, placed: Placed, latency: Estimate) -> tuple[str, ...]:
    notes = [chosen.note] if chosen.note else []
    if chosen.uncounted and latency.origin == "estimated":
        notes.append(f"the time of {', '.join(chosen.uncounted)} is not in the estimate: nobody counted their products")
    if any(side < 0 for tensor in chosen.model.tensors if tensor.data is None for side in tensor.shape[1:]):
        notes.append("open sides are taken as 1: flash holds, RAM and time are lower bounds")
    if not placed.own_clock and placed.clock_hz > placed.target.clock_hz:
        notes.append(f"{placed.target.chip} runs at {placed.target.clock_hz / 1e6:g} MHz at most as far as we know")
    return tuple(notes)


def host_of(placed: Placed) -> str:
    """The title of the core that computes what an accelerator leaves, empty where there is no accelerator."""
    return read_target(placed.target.host).title if placed.target.host else ""
