"""Targets and findings made readable: for the audit's report, `edgeasc targets` and `edgeasc explain`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from edgeasc.audit.target_document import ENDS, Estimate, Finding, Room, TargetAudit
from edgeasc.tables import Block, Table, printable

if TYPE_CHECKING:  # an audit without targets prints its findings without reading any of them
    from edgeasc.audit.findings import Explanation
    from edgeasc.audit.targets import Band, Target

LONGEST_PLACE = 40  # characters of a layer's name


def target_blocks(targets: Sequence[TargetAudit]) -> list[Block]:
    """One row per target, then what is missing there and where the numbers are from."""
    if not targets:
        return []
    headings = ("target", "runtime", ">flash needed", ">of B", ">RAM needed", ">of B", ">ms", ">mJ", "verdict")
    rows = [
        (
            item.name,
            item.runtime or "none",
            *_room(item.flash),
            *_room(item.ram),
            band_text(item.latency_ms),
            band_text(item.energy_mj),
            target_verdict(item),
        )
        for item in targets
    ]
    blocks: list[Block] = [Table(headings, rows, "Targets (low .. typical .. high; ~ marks an estimate)")]
    blocks += [words for item in targets if (words := _details(item))]
    return [*blocks, *_bases(targets)]


def target_verdict(item: TargetAudit) -> str:
    """`pass`, `pass (tight)` or `FAIL`, the word alone so that a terminal can colour the row."""
    if not item.passed:
        return "FAIL"
    return "pass (tight)" if any(room is not None and room.tight for room in (item.flash, item.ram)) else "pass"


def _room(room: Room | None) -> tuple[str, str]:
    if room is None:
        return "?", "?"
    mark = "~" if room.origin == "estimated" else ""
    return f"{mark}{room.needed:,}", f"{room.available:,}"


def band_text(estimate: Estimate | None) -> str:
    """`~2.1 .. 6.8 .. 27`, or one number where it was measured."""
    if estimate is None:
        return "?"
    if estimate.origin == "measured":
        return f"{_short(estimate.typical)} measured"
    return "~" + " .. ".join(_short(getattr(estimate, end)) for end in ENDS)


def _short(value: float) -> str:
    """Three digits at most where there are fractions."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 10 else f"{value:.1f}"


def _details(item: TargetAudit) -> str:
    lines = [f"{item.name}: {item.title}, {item.chip}, {item.clock_hz / 1e6:g} MHz"]
    lines += [
        f"  missing  {printable(op.operator)} (x{op.count}, first {_place(op.layer)}): {op.why}" for op in item.missing
    ]
    lines += [
        f"  on core  {printable(op.operator)} (x{op.count}, first {_place(op.layer)}): {op.why}" for op in item.on_core
    ]
    for name, room in (("flash", item.flash), ("RAM", item.ram)):
        if room is not None:
            over = (
                f"{room.needed - room.available:,} B too many"
                if not room.fits
                else f"{room.available - room.needed:,} B left"
            )
            lines.append(f"  {name:<7}  {room.parts}; {over}")
    lines += [f"  note     {printable(note)}" for note in item.notes]
    return "\n".join(lines)


def _bases(targets: Sequence[TargetAudit]) -> Iterable[Block]:
    """Where times and energies are from, each said once with the targets that it is about."""
    found: dict[str, list[str]] = {}
    for item in targets:
        for what, estimate in (("time", item.latency_ms), ("energy", item.energy_mj)):
            if estimate is not None:
                found.setdefault(f"{what.capitalize()}, {estimate.origin}: {estimate.basis}", []).append(item.name)
    for words, names in found.items():
        yield f"{words} [{', '.join(names)}]"
    without = [item.name for item in targets if item.runtime and item.energy_mj is None]
    if without:
        yield f"Energy is not known for {', '.join(without)}: no power is published for the network alone."


def finding_blocks(findings: Sequence[Finding]) -> list[Block]:
    """Every finding with what it costs and how it is cured."""
    if not findings:
        return []
    lines = ["Findings (`edgeasc explain CODE` says more)"]
    for item in findings:
        where = f" at {_place(item.layer)}" if item.layer else ""
        lines.append(f"  {item.code} {item.severity}{where}: {printable(item.message)}")
        lines.append(f"       costs  {printable(item.cost)}")
        lines.append(f"       cure   {item.cure}")
    return ["\n".join(lines)]


def _place(name: str) -> str:
    """The first of the names that a converter fused, its middle cut out where it is long."""
    first = printable(name.split(";")[0])
    return first if len(first) <= LONGEST_PLACE else f"{first[:16]}..{first[18 - LONGEST_PLACE :]}"


def listing(targets: Sequence[Target]) -> Block:
    """All targets in a table."""
    rows = [
        (
            target.name,
            target.chip,
            _memory(target.flash_bytes),
            _memory(target.ram_bytes),
            f"{target.clock_hz / 1e6:g} MHz",
            ", ".join(target.runtimes.values()) + (f" + {target.accelerator}" if target.accelerator else ""),
        )
        for target in targets
    ]
    return Table(("target", "chip it stands for", ">flash", ">RAM", ">clock", "runtime"), rows)


def _memory(size: int) -> str:
    """Bytes of a chip in KiB, of a computer in GiB."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 1024:,.0f} KiB"


def describe(target: Target) -> list[Block]:
    """Everything about one target: its numbers, operators, cycles, and published latencies beside its band."""
    facts = [
        f"{target.name}: {target.title}",
        f"Chip      {target.chip}, {target.clock_hz / 1e6:g} MHz",
        f"Flash     {target.flash_bytes:,} B ({_memory(target.flash_bytes)})",
        f"RAM       {target.ram_bytes:,} B ({_memory(target.ram_bytes)})",
        f"Memory    {target.memory}",
    ]
    facts += [f"Note      {note}" for note in target.notes]
    facts += [f"Source    {source}" for source in target.sources]
    if target.power is not None:
        facts.append(f"Power     {_band(target.power.milliwatts)} mW: {target.power.source}")
    cycles = [(name, _band(getattr(target.cycles, name)), _UNITS[name]) for name in type(target.cycles).model_fields]
    blocks: list[Block] = ["\n".join(facts), target.basis.strip()]
    blocks.append(Table(("kind of work", ">cycles, low .. typical .. high", "per"), cycles))
    if target.published:
        blocks.append(_published(target))
    return [*blocks, *(_operators(name) for name in (*target.runtimes.values(), target.accelerator) if name)]


_UNITS = {
    "conv": "multiply-accumulate, int8",
    "depthwise": "multiply-accumulate, int8",
    "dense": "multiply-accumulate, int8",
    "float_conv": "multiply-accumulate, float",
    "float_depthwise": "multiply-accumulate, float",
    "float_dense": "multiply-accumulate, float",
    "element": "element",
    "table": "element with an exponential, a root or a division",
    "move": "element copied",
    "operator": "operator",
}


def _published(target: Target) -> Table:
    from edgeasc.audit.estimate import count_cycles, milliseconds, network_loads
    from edgeasc.audit.targets import read_networks

    networks = read_networks()
    rows = []
    for item in target.published:
        work = network_loads(networks[item.network], item.dtype == "float32")
        band = milliseconds(count_cycles(work, target.cycles), item.mhz * 1e6)
        inside = "inside" if band.low <= item.milliseconds <= band.high else "OUTSIDE"
        clock = f"{item.mhz:g} MHz"
        rows.append((item.network, item.engine, clock, f"{item.milliseconds:g}", _band(band), inside, item.source))
    headings = ("published", "by", ">clock", ">ms", ">band, ms", "", "source")
    return Table(headings, rows, "Published latencies beside the band")


def _operators(name: str) -> str:
    from edgeasc.audit.runtimes import read_runtime

    runtime = read_runtime(name)
    lines = [f"{runtime.title} computes, of .{runtime.reads} operators:", runtime.operators.strip()]
    if runtime.custom.strip():
        lines.append(f"and, as custom ones: {' '.join(runtime.custom.split())}")
    lines += [f"in {', '.join(types.split())}: {' '.join(names.split())}" for types, names in runtime.types.items()]
    return "\n".join([*lines, f"Source: {' '.join(runtime.source.split())}"])


def _band(band: Band) -> str:
    return " .. ".join(_short(getattr(band, end)) for end in ENDS)


def explanation_blocks(entry: Explanation) -> list[Block]:
    """One entry of the catalogue in full."""
    return [
        f"{entry.code}: {entry.title} ({entry.severity})",
        entry.means.strip(),
        f"Costs: {entry.cost}\nCure: {entry.cure}\nSource: {entry.source}",
    ]


def explanation_listing(entries: Iterable[Explanation]) -> Block:
    """The catalogue in a table."""
    return Table(("code", "severity", "what it is"), [(item.code, item.severity, item.title) for item in entries])
