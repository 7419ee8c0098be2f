"""A counting rule in words: what counts, how wide, how much may be, and where the rule's own text leaves room."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.audit.rules import UNIT_BYTES, Rule
from edgeasc.tables import Block, Table

_FORMS = {
    "training": "the network as it was trained, from a run folder's inventory",
    "deployed": "the deployed file itself",
}
_SCOPES = {"model": "each model by itself", "system": "all models of a system together (`--system`)"}
_OF = {
    "total": "all elements, zeros too",
    "kept": "the elements that the pruning mask keeps",
    "nonzero": "elements whose real value is not zero",
}
_MACS = {
    "network": "the multiply-accumulates of its convolutions and matrix products, batch 1",
    "torchinfo": "the larger of those of its convolutions and matrix products and of torchinfo's number, which adds "
    "biases and live batch norm",
}


def listing(rules: Sequence[Rule]) -> Table:
    """One row per rule."""
    rows = [(rule.name, rule.form, ", ".join(_limit_words(rule)) or "reports only", rule.title) for rule in rules]
    return Table(("rule", "counts", "limits", "what it is"), rows)


def explain(rule: Rule) -> list[Block]:
    """The whole rule."""
    limits = _limit_words(rule)
    lines = [
        f"{rule.name}: {rule.title}",
        f"Source    {rule.source}",
        f"Counts    {_FORMS[rule.form]}",
        f"Unit      1 {rule.unit} = {UNIT_BYTES[rule.unit]:,} bytes",
        f"Limits    {', '.join(limits) if limits else 'none: it reports (--budget sets one)'}",
    ]
    if limits:
        lines.append(f"Judges    {_SCOPES[rule.scope]}")
    if rule.limit_macs is not None:
        lines.append(f"MACs      {_MACS[rule.macs]}{f'; one inference is {rule.hears}' if rule.hears else ''}")
    lines.append(f"Norms     {_norm_words(rule)}")
    rows = [(line.label, ", ".join(line.kinds), _OF[line.of], str(line.bits or "own")) for line in rule.count]
    table = Table(("counted", "tensors", "which", ">bits"), rows)
    return ["\n".join(lines), table, rule.explanation.strip(), *_doubts(rule)]


def _limit_words(rule: Rule) -> list[str]:
    """The rule's limits; bytes in the rule's unit as well."""
    words = []
    for what, limit in rule.allowed.items():
        if what == "bytes":
            words.append(f"{limit:,} B ({limit / UNIT_BYTES[rule.unit]:g} {rule.unit})")
        elif what == "weight bits":
            words.append(f"weights of at most {limit} bits")
        else:
            words.append(f"{limit:,} {what}")
    return words


def _norm_words(rule: Rule) -> str:
    kinds = {kind for line in rule.count for kind in line.kinds}
    if "norm" not in kinds:
        return "batch norm that is not folded away does not count"
    return "batch norm that is not folded away counts, " + (
        "running statistics too" if "statistics" in kinds else "its running statistics do not"
    )


def _doubts(rule: Rule) -> list[Block]:
    return [
        f"Uncertain {doubt.text}\n  taken   {doubt.reading} (the stricter reading)\n  other   {doubt.other}"
        for doubt in rule.uncertain
    ]
