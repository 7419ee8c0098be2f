"""From 16-bit samples to a scene on emulated cores, one second of audio: what front end and network cost, apart.

    python benchmarks/pcm_to_scene.py [--network c10=RUN --network c80=RUN] [--data DIR] [--cores cortex-m4 ...]

For each network (see c_networks.py) and form: the C folder's own stream as firmware, fed with seconds of recordings.
One network input is 34 frames at 30 ms. Every level is held against the numpy front end and every logit against the
numpy reference. Built for speed (-O3); instructions are counted, not timed. Flash is the whole firmware; what of it is
the front end is the difference to firmware with the network alone. RAM is what a run touches: arena, stream and the
deepest stack.
Writes benchmarks/results/<date>-pcm-to-scene.json and .md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from c_networks import SECONDS, Network, add_options, networks, zeros

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.boards import BOARDS
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.bench.mcu.listen import listen
from edgeasc.data.clips import Dataset
from edgeasc.data.layouts import open_dataset
from edgeasc.export.c.bundle import bundle
from edgeasc.files import write_json, write_text
from edgeasc.graph.count import count
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import c_artefact
from edgeasc.specs import LogMel
from edgeasc.tables import Table, as_markdown

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--cores", nargs="+", choices=list(BOARDS), default=["cortex-m4"])
    parser.add_argument("--seconds", type=int, default=3, help="seconds of sound that are played, of different clips")
    chosen = parser.parse_args()
    dataset = open_dataset(chosen.data)
    rows = []
    for network in networks(chosen, dataset, 1, 0):
        with tempfile.TemporaryDirectory(prefix="edgeasc-pcm-") as folder:
            played = seconds_of(dataset, network, chosen.seconds, Path(folder))
            (Path(folder) / "model.onnx").write_bytes(onnx_bytes(network.graph))
            for core in chosen.cores:
                rows.append(measure(network, core, Path(folder) / "model.onnx", played))
                print(
                    rows[-1]["network"], rows[-1]["form"], core, rows[-1]["front_end"], rows[-1]["layers"], flush=True
                )
    document = {
        "schema": 1,
        "date": date.today().isoformat(),
        "data": dataset.name,
        "machine": describe_machine(),
        "origin": "emulated",
        "rows": rows,
    }
    stem = f"{document['date']}-pcm-to-scene"
    write_json(chosen.out / f"{stem}.json", document)
    text = as_markdown([table(rows), sizes(rows)])
    write_text(chosen.out / f"{stem}.md", text)
    print(text)
    return 0 if all(row["equal"] for row in rows) else 1


def seconds_of(dataset: Dataset, network: Network, number: int, folder: Path) -> list[Path]:
    """`number` seconds of sound as 16-bit files, the loudest second of clips spread over the data set."""
    spec = LogMel.model_validate_json(network.graph.metadata["edgeasc.features"])
    length, paths = round(SECONDS * spec.sample_rate), []
    for at in np.linspace(0, len(dataset.clips) - 1, number).astype(int):
        sound = dataset.waveform(dataset.clips[at], spec.sample_rate)
        starts = range(0, max(1, len(sound) - length + 1), length)
        start = max(starts, key=lambda place: float(np.square(sound[place : place + length]).sum()))
        paths.append(folder / f"{at}.wav")
        soundfile.write(paths[-1], sound[start : start + length], spec.sample_rate, subtype="PCM_16")
    return paths


def measure(network: Network, core: str, model: Path, played: Sequence[Path]) -> Row:
    """One network on one core: means over the seconds played."""
    heard = list(listen(model, core, played, optimise="speed"))
    failed = [row["error"] for row in heard if "error" in row]
    if failed:
        raise SystemExit(failed[0])
    text = bundle(network.graph, front_end=False, optimise="speed")
    alone, _ = bench_emulated(c_artefact(text), core, network.clips, optimise="speed")
    first = heard[0]
    return {
        "network": network.name,
        "form": network.form,
        "source": network.source,
        "zeros": zeros(network.graph),
        "macs": count(network.graph).macs,
        "core": core,
        "memory": first["memory"],
        "compiler": first["version"],
        "seconds_played": len(heard),
        "equal": all(row["equal"] for row in heard),
        "frames": first["front_end"]["frames"],
        "per_frame": first["front_end"]["per_frame"],
        "front_end": round(float(np.mean([row["front_end"]["instructions"] for row in heard]))),
        "layers": round(float(np.mean([row["network"]["instructions"] for row in heard]))),
        "flash_bytes": first["flash_bytes"],
        "front_end_flash_bytes": first["flash_bytes"] - alone["flash_bytes"],
        "table_bytes": first["front_end"]["table_bytes"],
        "arena_bytes": first["arena_bytes"],
        "scratch_bytes": first["front_end"]["scratch_bytes"],
        "state_bytes": first["front_end"]["state_bytes"],
        "stack_bytes": max(row["stack_bytes"] for row in heard),
    }


def table(rows: Sequence[Row]) -> Table:
    """Instructions."""
    cells = [
        (
            f"{row['network']} {row['form']}", f"{100 * row['zeros']:.0f} %", row["core"], f"{row['front_end']:,}",
            f"{row['per_frame']:,}", f"{row['layers']:,}", f"{row['front_end'] + row['layers']:,}",
            f"{100 * row['front_end'] / (row['front_end'] + row['layers']):.0f} %", "yes" if row["equal"] else "NO",
        )
        for row in rows
    ]  # fmt: skip
    headings = (
        "network", ">zeros", "core", ">front end", ">a frame", ">network", ">together", ">front end's share", "equal",
    )  # fmt: skip
    return Table(headings, cells, "From samples to scene, one second: counted instructions under emulation")


def sizes(rows: Sequence[Row]) -> Table:
    """Flash and RAM."""
    cells = []
    for row in rows:
        ram = row["arena_bytes"] + row["state_bytes"] + row["stack_bytes"]
        parts = (row["flash_bytes"], row["front_end_flash_bytes"], ram, row["arena_bytes"], row["state_bytes"])
        cells.append((f"{row['network']} {row['form']}", row["core"], *(f"{part:,}" for part in parts)))
    headings = ("network", "core", ">flash B", ">of it front end", ">RAM B", ">of it arena", ">of it stream")
    return Table(headings, cells, "Flash and RAM of the same firmware; the transform works in the network's arena")


if __name__ == "__main__":
    sys.exit(main())
