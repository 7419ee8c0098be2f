"""What a microcontroller heard, as paragraphs and tables."""

from __future__ import annotations

from typing import Any

from edgeasc.tables import Block, Table


def listening_blocks(document: dict[str, Any]) -> list[Block]:
    """Instructions of front end and network apart, sizes, and the scenes, one row per model, core and recording."""
    good = [row for row in document["results"] if "error" not in row]
    rows, sizes, heard = [], [], []
    for row in good:
        front, network, where = row["front_end"], row["network"], (row["path"], row["target"], row["audio"])
        equal = f"{front['equal_frames']}/{front['frames']} frames"
        if network["equal_scenes"] is not None:
            equal += f", {network['equal_scenes']}/{network['scenes']} scenes"
        counts = (front["per_frame"], front["per_second"], network["instructions"])
        rows.append((*where, *(f"{count:,}" for count in counts), equal))
        bytes_of = (
            row["flash_bytes"], front["table_bytes"], row["ram_bytes"], row["arena_bytes"], front["state_bytes"],
            row["stack_bytes"],
        )  # fmt: skip
        sizes.append((*where[:2], *(f"{size:,}" for size in bytes_of)))
        heard += [(*where[1:], f"{scene['seconds']:.2f} s", scene["label"]) for scene in row["scenes"]]
    blocks: list[Block] = []
    if good:
        blocks += [
            Table(
                ("model", "target", "recording", ">front end per frame", ">per second", ">network per scene", "equal"),
                rows,
                "From samples to scenes under emulation: counted instructions, no latency",
            ),
            Table(
                (
                    "model",
                    "target",
                    ">flash B",
                    ">of it front-end tables",
                    ">RAM B",
                    ">arena B",
                    ">stream B",
                    ">stack B",
                ),
                list(dict.fromkeys(sizes)),
                "Front end and network together",
            ),
            Table(("target", "recording", ">heard", "scene"), heard),
        ]
        blocks += list(dict.fromkeys(f"Linked for {row['memory']}, {row['version']}" for row in good))
    failed = [(row["path"], row["target"], row["audio"], row["error"]) for row in document["results"] if "error" in row]
    if failed:
        blocks.append(Table(("model", "target", "recording", "error"), failed))
    return blocks
