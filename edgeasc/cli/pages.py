"""The documents of other rooms (evaluation, parity, latency, verification) as paragraphs and tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeasc.tables import Block, Table

Document = dict[str, Any]


def percent(value: float | None) -> str:
    """A share as `93.1 %`, or a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def evaluation_blocks(document: Document, title: str = "") -> list[Block]:
    """An evaluation: scores beside their split, seeds and n; per class and per recording device."""
    seeds = ", ".join(map(str, document["seeds"])) or "not known"
    head = f"{document['n']} clips ({document['split']}), heard as {document['input']}, seeds {seeds}"
    scores = [
        ("accuracy", percent(document["accuracy"])),
        ("macro accuracy (UAR)", percent(document["macro_accuracy"])),
        ("log loss", f"{document['log_loss']:.3f}"),
        ("mAP", percent(document["mean_average_precision"])),
    ]
    for name, words in (("seen", "devices heard in training"), ("unseen", "devices never heard in training")):
        if document.get(name):
            scores.append((words, f"{percent(document[name]['accuracy'])} of {document[name]['n']}"))
    blocks: list[Block] = [f"{title}: {head}" if title else head, Table(("score", ">value"), scores)]
    blocks.append(_groups("class", document["per_class"]))
    if document["per_device"]:
        blocks.append(_groups("device", document["per_device"]))
    return blocks


def _groups(name: str, groups: dict[str, Document]) -> Table:
    rows = [(label, percent(group["accuracy"]), str(group["n"])) for label, group in groups.items()]
    return Table((name, ">accuracy", ">clips"), rows)


def stage_table(stages: Iterable[tuple[str, Document]]) -> Table:
    """Evaluations side by side, one row per stage; devices apart where they are known."""
    rows = []
    for name, document in stages:
        seen, unseen = document.get("seen"), document.get("unseen")
        rows.append(
            (
                name,
                percent(document["accuracy"]),
                percent(document["macro_accuracy"]),
                percent(seen["accuracy"] if seen else None),
                percent(unseen["accuracy"] if unseen else None),
                f"{document['log_loss']:.3f}",
                str(document["n"]),
            )
        )
    headings = ("stage", ">accuracy", ">macro", ">seen devices", ">unseen devices", ">log loss", ">n")
    return Table(headings, rows)


def parity_blocks(document: Document) -> list[Block]:
    """The parity ladder, every rung with its judge, its limit and its verdict."""
    rows = [
        (
            rung["name"],
            rung["against"],
            "" if rung["equal"] is None else f"{rung['equal']}/{rung['clips']}",
            "" if rung["max_steps"] is None else str(rung["max_steps"]),
            "" if rung["mean_logit"] is None else f"{rung['mean_logit']:.4f}",
            "" if rung["top1"] is None else percent(rung["top1"]),
            rung["limit"],
            _VERDICTS[rung["passed"]] if not rung["why"] else f"{_VERDICTS[rung['passed']]}: {rung['why']}",
        )
        for rung in document["rungs"]
    ]
    headings = ("runtime", "against", ">equal", ">max steps", ">mean logit", ">top-1", "limit", "verdict")
    inputs = "clips" if document["inputs"] == "clips" else "random inputs"
    title = f"Parity of form {document['form']} over {document['clips']} {inputs}"
    return [Table(headings, rows, title)]


_VERDICTS = {True: "pass", False: "FAIL", None: "no limit"}


def latency_blocks(document: Document) -> list[Block]:
    """Latencies, one row per model and runtime; a runtime that failed says why."""
    machine, rows = document["machine"], []
    for row in document["results"]:
        if "median_us" in row:
            times = tuple(f"{row[key] / 1000:.3f}" for key in ("median_us", "p90_us", "p99_us"))
            rows.append((row["path"], row["runtime"], row["version"], *times, str(row["runs"]), row["origin"]))
        else:
            rows.append((row["path"], row["runtime"], "", "", "", "", "", row["error"]))
    headings = ("model", "runtime", "version", ">median ms", ">p90 ms", ">p99 ms", ">runs", "origin")
    loads = " to ".join(f"{load[0]:.1f}" for load in (machine["load_average"], machine["load_average_after"]) if load)
    where = f"{machine['cpu']}, {machine['usable_cores']} cores, {machine['system']}, load {loads or 'not known'}"
    return [Table(headings, rows, "Latency of one inference, batch 1"), f"Measured on {where}"]


def instruction_blocks(document: Document, all_layers: bool) -> list[Block]:
    """Emulated cores, one row per model and core, and where the instructions go."""
    rows = []
    for row in document["results"]:
        if "error" in row:
            rows.append((row["path"], row["target"], "", "", "", "", "", row["error"]))
            continue
        equal = "no graph to compare" if row["equal"] is None else f"{row['equal']}/{row['runs']}"
        sizes = tuple(f"{row[key]:,}" for key in ("flash_bytes", "arena_bytes", "stack_bytes"))
        per_mac = f"{row['instructions'] / row['macs']:.2f}" if row["macs"] else ""
        rows.append((row["path"], row["target"], f"{row['instructions']:,}", per_mac, *sizes, equal))
    headings = (
        "model", "target", ">instructions", ">per MAC", ">flash B", ">arena B", ">stack B", "equal to the reference",
    )  # fmt: skip
    blocks: list[Block] = [Table(headings, rows, "One inference under emulation: counted instructions, no latency")]
    for row in document["results"]:
        if "error" not in row:
            blocks.append(layer_costs(row, all_layers))
            roles = ", ".join(f"{name} {size:,}" for name, size in row["flash_by_role"].items() if size)
            blocks.append(f"Flash, bytes: {roles}")
            blocks.append(f"Linked for {row['memory']}, {row['version']}")
    return blocks


def layer_costs(row: Document, all_layers: bool, unit: str = "instructions") -> Table:
    """Instructions or cycles by operator, or by layer."""
    spent: dict[str, list[int]] = {}
    for layer in row["layers"]:
        kind = f"{layer['op']}, {layer['storage']} weights" if layer["storage"] != "none" else layer["op"]
        key = f"{layer['name']} ({kind})" if all_layers else kind
        entry = spent.setdefault(key, [0, 0, 0])
        for index, value in enumerate((1, layer["macs"], layer[unit])):
            entry[index] += value
    order = spent.items() if all_layers else sorted(spent.items(), key=lambda item: -item[1][2])
    rows = [
        (key, str(n), f"{macs:,}" if macs else "", f"{count:,}", f"{count / macs:.2f}" if macs else "",
         f"{100 * count / max(1, row[unit]):.1f} %")
        for key, (n, macs, count) in order
    ]  # fmt: skip
    return Table(("operator", ">layers", ">MACs", f">{unit}", ">per MAC", ">share"), rows, row["target"])


def check_blocks(document: Document) -> list[Block]:
    """A verification: what differs, and otherwise how much was derived again."""
    failed = [check for check in document["checks"] if not check["passed"]]
    total = len(document["checks"])
    blocks: list[Block] = [f"{total - len(failed)} of {total} numbers are what the manifest says"]
    if failed:
        rows = [(check["name"], str(check["expected"]), str(check["found"])) for check in failed]
        blocks.append(Table(("differs", "manifest", "found"), rows))
    if document.get("parity"):
        blocks += parity_blocks(document["parity"])
    blocks += [f"Note: {note}" for note in document.get("notes", [])]
    return [*blocks, "Verdict   " + ("pass" if document["passed"] else "FAIL")]
