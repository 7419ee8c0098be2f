"""An audit made readable: paragraphs and tables, for text, Markdown or a terminal. Nothing is counted here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import attrgetter

from edgeasc.audit.document import AuditReport, Layer, Limit, ModelAudit, RuleSize
from edgeasc.audit.target_report import finding_blocks, target_blocks
from edgeasc.tables import Block, Table, printable

MARKED = 3  # worst layers per column
LONGEST_NAME = 40  # characters
TIGHT = 0.05  # headroom below which a passed limit is called tight
_COUNTS = ("macs", "parameters", "MACs")  # limits that are no bytes, by their last word


def report_blocks(report: AuditReport, all_layers: bool = False) -> list[Block]:
    """The whole report; layers without parameters or multiply-accumulates only with `all_layers`."""
    blocks: list[Block] = []
    for model in report.models:
        blocks += _model_blocks(model, all_layers)
    if len(report.models) > 1:
        blocks.append(_summary(report))
    if report.system:
        blocks += ["All models as one system:", _limits(report.system)]
    return blocks


def _model_blocks(model: ModelAudit, all_layers: bool) -> Iterable[Block]:
    yield _head(model)
    if model.limits:
        yield _limits(model.limits)
    for rule in model.rules:
        yield _rule(rule)
        if rule.note:
            yield rule.note
    yield _sizes(model)
    yield _layers(model, all_layers)
    yield from target_blocks(model.targets)
    yield from finding_blocks(model.findings)
    yield _foot(model)


def verdict_table(model: ModelAudit) -> list[Block]:
    """The short form: sizes under each rule, and the verdicts on its limits."""
    blocks: list[Block] = [_rule(rule) for rule in model.rules]
    blocks += [rule.note for rule in model.rules if rule.note]
    return [*blocks, _limits(model.limits)] if model.limits else blocks


def _head(model: ModelAudit) -> str:
    lines = [
        f"Model     {printable(model.path)}",
        f"          {model.format}, {printable(model.ends)}, sha256 {model.sha256[:12]}",
    ]
    features = _front_end(model)
    if features:
        lines.append(f"Hears     {features}")
    return "\n".join(lines)


def _front_end(model: ModelAudit) -> str:
    """Front end and labels that are embedded in the file, in words."""
    try:
        spec = json.loads(model.metadata["edgeasc.features"])
        labels = json.loads(model.metadata.get("edgeasc.labels", "[]"))
        words = (
            f"the waveform at {spec['sample_rate']:,} Hz, scaled to a peak of {spec['peak']:g}"
            if spec.get("kind") == "waveform"
            else f"{spec['n_mels']} mels at {spec['sample_rate']:,} Hz, hop {spec['hop_length']} samples"
        )
    except (KeyError, ValueError, TypeError):
        return ""
    hashed = model.metadata.get("edgeasc.features.hash", "")
    return f"{words} (front end {hashed}), {len(labels)} labels"


def _limits(limits: tuple[Limit, ...]) -> Table:
    rows = []
    for limit in limits:
        word = limit.name.removesuffix(", together").split()[-1]
        unit = "" if word in _COUNTS else " bit" if word == "bits" else " B"
        part = 1 - limit.value / limit.limit
        verdict = "FAIL" if not limit.passed else "pass (tight)" if part < TIGHT else "pass"
        over = limit.value - limit.limit
        left = f"{100 * part:.1f} %" if limit.passed else f"{over:,}{unit} over" if over > 0 else "not all counted"
        rows.append((limit.name, f"{limit.limit:,}{unit}", f"{limit.value:,}{unit}", left, verdict))
    return Table(("limit", ">allowed", ">found", ">left", "verdict"), rows)


def _rule(rule: RuleSize) -> Table:
    rows = [
        (line.label, f"{line.elements:,}", f"{line.bits} bit" if line.bits else "own", f"{line.bytes:,.0f} B")
        for line in rule.lines
    ]
    rows.append(("together", f"{rule.parameters:,}", "", f"{rule.bytes:,} B = {rule.text}"))
    if rule.macs is not None and "MACs" in rule.allowed:
        rows.append(("MACs of the network", f"{rule.macs.network:,}", "", ""))
        rows.append(("MACs as torchinfo counts", f"{rule.macs.torchinfo:,}", "", f"judged: {rule.macs.decides}"))
    return Table((f"rule {rule.name}", ">count", ">width", ">size"), rows)


def _sizes(model: ModelAudit) -> Table:
    """Numbers that are often mistaken for one another, side by side."""
    own = model.parameters
    zeros = 100 * (1 - own.nonzero / own.total) if own.total else 0.0
    rows = [
        ("parameters", f"{own.total:,}", f"{own.nonzero:,} of them not zero ({zeros:.1f} % zeros)"),
        ("non-zero bytes", f"{own.nonzero_bytes:,} B", _both_units(own.nonzero_bytes)),
    ]
    if model.stored != own:
        copies = f"{model.stored.total:,} numbers as the file stores them, copies of shared weights and zeros included"
        rows.append(("stored bytes", f"{model.stored.bytes:,} B", copies))
    apart = ", ".join(f"{item.what} {item.bytes:,} B" for item in model.uncounted)
    rows += [
        ("file", f"{model.file_bytes:,} B", _both_units(model.file_bytes)),
        ("gzip -9", f"{model.gzip_bytes:,} B", _both_units(model.gzip_bytes)),
        ("not counted", f"{sum(item.bytes for item in model.uncounted):,} B", apart or "nothing"),
        *_running_rows(model),
        _arena_row(model),
        *([] if model.flash.bytes is None else [("flash as C", f"{model.flash.bytes:,} B", model.flash.why)]),
    ]
    return Table(("size", ">found", "which is"), rows)


def _running_rows(model: ModelAudit) -> list[tuple[str, str, str]]:
    """What an inference takes; nothing is known of weights alone."""
    if not model.has_operators:
        return [("MACs, activations", "unknown", "weights alone do not tell them")]
    partly = f", at least: {', '.join(map(printable, model.unknown))} not counted" if model.unknown else ""
    rows = [
        ("MACs", f"{model.macs:,}", f"multiply-accumulates of one inference, batch 1{partly}"),
        ("activations", f"{model.peak_activation_bytes:,} B", f"at their peak, in {printable(model.peak_layer)}"),
    ]
    if model.best_order:
        what = "no order needs less" if model.best_peak_exact else "the best order that a greedy search found"
        rows.append(("in another order", f"{model.best_peak_bytes:,} B", f"at their peak; {what}"))
    return rows


def _both_units(size: int) -> str:
    return f"{size / 1024:,.2f} KiB, {size / 1000:,.2f} kB"


def _arena_row(model: ModelAudit) -> tuple[str, str, str]:
    if model.arena.bytes is None:
        return ("TFLM arena", "unknown", model.arena.why)
    return ("TFLM arena", f"{model.arena.bytes:,} B", "RAM that TFLM takes for it, measured on this host")


def _layers(model: ModelAudit, all_layers: bool) -> Table:
    worst = {name: _worst(model.layers, name) for name in ("bytes", "macs", "activation_bytes")}
    rows = []
    for number, layer in enumerate(model.layers, start=1):
        marks = {name for name, layers in worst.items() if id(layer) in layers}
        if not (all_layers or layer.parameters or layer.macs or "activation_bytes" in marks):
            continue
        share = 100 * layer.nonzero / layer.parameters if layer.parameters else 0.0
        rows.append(
            (
                str(number),
                _short(layer.name),
                layer.op,
                "x".join(str(side) for side in layer.output_shape[1:]) or "1",
                f"{layer.parameters:,}" if layer.parameters else "",
                f"{share:.0f}" if layer.parameters else "",
                _marked(layer.bytes, "bytes" in marks) if layer.parameters else "",
                _marked(layer.macs, "macs" in marks) if layer.macs else "",
                _marked(layer.activation_bytes, "activation_bytes" in marks),
            )
        )
    hidden = len(model.layers) - len(rows)
    title = f"Layers (^ marks the {MARKED} largest of a column" + (
        f"; {hidden} without parameters left out)" if hidden else ")"
    )
    headings = (">#", "layer", "operator", ">output", ">parameters", ">nz %", ">bytes", ">MACs", ">live RAM B")
    return Table(headings, rows, title)


def _short(name: str) -> str:
    """The first of the names that a converter fused, its middle cut out where it is long."""
    first = name.split(";")[0]
    return first if len(first) <= LONGEST_NAME else f"{first[:16]}..{first[18 - LONGEST_NAME :]}"


def _worst(layers: tuple[Layer, ...], name: str) -> set[int]:
    """Identities of the layers with the largest values of one column."""
    value = attrgetter(name)
    ranked = sorted((layer for layer in layers if value(layer)), key=value, reverse=True)
    return {id(layer) for layer in ranked[:MARKED]}


def _marked(value: int, worst: bool) -> str:
    return f"{value:,}{' ^' if worst else '  '}"


def _foot(model: ModelAudit) -> str:
    operators = ", ".join(f"{count} {printable(op)}" for op, count in model.operators.items())
    lines = [f"Operators {operators}"]
    lines += [f"Note      {printable(note)}" for note in model.notes]
    if model.limits or model.targets:
        failed = [limit.name for limit in model.limits if not limit.passed]
        failed += [f"{item.name} ({'; '.join(item.reasons)})" for item in model.targets if not item.passed]
        lines.append(f"Verdict   {'FAIL: ' + printable(', '.join(failed)) if failed else 'pass'}")
    return "\n".join(lines)


def _summary(report: AuditReport) -> Table:
    rows = [
        (
            model.path,
            f"{model.parameters.nonzero_bytes:,} B",
            f"{model.file_bytes:,} B",
            f"{model.macs:,}",
            "pass" if model.passed else "FAIL",
        )
        for model in report.models
    ]
    return Table(("model", ">non-zero", ">file", ">MACs", "verdict"), rows, "Together")
