"""What boards on serial lines answered, as paragraphs and tables."""

from __future__ import annotations

from pathlib import Path

from edgeasc.cli.pages import Document, layer_costs
from edgeasc.tables import Block, Table


def board_blocks(document: Document, all_layers: bool) -> list[Block]:
    """Boards, one row per model and port: cycles and time of silicon, instructions of an emulator."""
    rows = []
    for row in document["results"]:
        if "error" in row:
            rows.append((row["path"], row["target"], "", "", "", "", "", "", row["error"]))
            continue
        unit = cost_unit(row)
        equal = "no graph to compare" if row["equal"] is None else f"{row['equal']}/{row['runs']}"
        sizes = tuple(f"{row[key]:,}" for key in ("flash_bytes", "arena_bytes", "stack_bytes"))
        time = f"{row['median_us'] / 1000:.2f}" if "median_us" in row else ""
        rows.append((row["path"], row["board"], f"{row[unit]:,} {unit}", row["origin"], time, *sizes, equal))
    headings = (
        "model", "board", ">cost", "origin", ">ms", ">flash B", ">arena B", ">stack B", "equal to the reference",
    )  # fmt: skip
    blocks: list[Block] = [Table(headings, rows, "One inference on a board")]
    for row in document["results"]:
        if "error" not in row:
            blocks.append(layer_costs(row, all_layers, cost_unit(row)))
            blocks.append(_how(row))
    return blocks


def cost_unit(row: Document) -> str:
    """`cycles` of a core, or `instructions` of an emulated one."""
    return "cycles" if "cycles" in row else "instructions"


def _how(row: Document) -> str:
    """What counted, at which clock, and what was built."""
    clock = f" at {row['clock_hz'] / 1e6:g} MHz" if row["clock_hz"] and row["origin"] == "measured" else ""
    said = f"Counted by {row['counter']}{clock}, {row['version']}, build {row['build']}"
    return said if row["origin"] == "measured" else f"{said}; an emulator's instructions, no latency"


def board_listening_blocks(document: Document) -> list[Block]:
    """What boards heard: the cost of front end and network apart, sizes, and the scenes."""
    good = [row for row in document["results"] if "error" not in row]
    if not good:
        return []
    costs, sizes, heard = [], [], []
    for row in good:
        front, network, where = row["front_end"], row["network"], (row["path"], row["board"], Path(row["audio"]).name)
        equal = f"{front['equal_frames']}/{front['frames']} frames"
        if network["equal_scenes"] is not None:
            equal += f", {network['equal_scenes']}/{network['scenes']} scenes"
        counts = (front["per_frame"], front["per_second"], network["per_scene"])
        costs.append((*where, *(f"{count:,}" for count in counts), f"{row['unit']}, {row['origin']}", equal))
        keys = ("flash_bytes", "arena_bytes", "stack_bytes")
        sizes.append((*where[:2], *(f"{row[key]:,}" for key in keys), f"{front['state_bytes']:,}"))
        heard += [(*where[1:], f"{scene['seconds']:.2f} s", scene["label"]) for scene in row["scenes"]]
    heads = ("model", "board", "recording", ">front end per frame", ">per second", ">network per scene", "in", "equal")
    return [
        Table(heads, costs, "From samples to scenes on a board"),
        Table(("model", "board", ">flash B", ">arena B", ">stack B", ">stream B"), list(dict.fromkeys(sizes))),
        Table(("board", "recording", ">heard", "scene"), heard),
        *dict.fromkeys(_how(row) for row in good),
    ]
