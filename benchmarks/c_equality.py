"""Generated C against the numpy reference, element by element, on the host and on emulated cores.

    python benchmarks/c_equality.py [--network c10=RUN --network c80=RUN] [--data DIR] [--clips 200] [--random 200]

For each network (see c_networks.py) and form: C on the host under the address and undefined-behaviour sanitisers (where
plain C is taken), C on emulated Cortex-M4, M7 and M55 (where the instructions of the core are), and in form `int8`
TensorFlow Lite for Microcontrollers. Counts inputs and elements of the logits that are equal, and on some of the inputs
every element of every layer, by digest (see c_layers.py); anything else ends with exit code 1.
Writes benchmarks/results/<date>-c-equality.json and prints a table.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import c_layers
import numpy as np
from c_networks import Network, add_options, networks, zeros
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.boards import BOARDS
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.data.layouts import open_dataset
from edgeasc.export.c.bundle import bundle
from edgeasc.export.tflite import tflite_bytes
from edgeasc.files import write_json
from edgeasc.runtime.artefact import c_artefact, tflite_artefact
from edgeasc.runtime.runner import open_runner
from edgeasc.tables import Table, as_text

HOST, TFLM = "host C, sanitised", "TFLM"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--random", type=int, default=200)
    parser.add_argument("--layer-inputs", type=int, default=40, help="inputs on which every layer is compared")
    parser.add_argument("--cores", nargs="+", choices=list(BOARDS), default=list(BOARDS))
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds per emulation")
    return parser.parse_args()


def row(network: Network, where: str, found: NDArray[np.int8], expected: NDArray[np.int8]) -> dict[str, Any]:
    """What one place computed, beside what it should."""
    same = found == expected
    return {
        "network": network.name,
        "form": network.form,
        "source": network.source,
        "zeros": round(zeros(network.graph), 4),
        "where": where,
        "clips": len(network.clips),
        "clips_equal": int(same[: len(network.clips)].all(axis=1).sum()),
        "random": len(network.random),
        "random_equal": int(same[len(network.clips) :].all(axis=1).sum()),
        "elements": int(same.size),
        "elements_equal": int(same.sum()),
        "classes_seen": len(set(expected.argmax(axis=1).tolist())),
    }


def on_runtime(network: Network, runtime: str, timeout: float) -> NDArray[np.int8]:
    """Integers [n, classes] of all inputs in a runtime of this machine, whose runner gives them as logits."""
    output = network.graph[network.graph.output]
    artefact = tflite_artefact(tflite_bytes(network.graph)) if runtime == "tflm" else c_artefact(bundle(network.graph))
    with open_runner(artefact, runtime, timeout=timeout) as runner:
        logits = runner.predict(network.inputs)
    return (np.rint(logits / np.float32(output.scale)) + output.zero_point).astype(np.int8)


def measured(options: argparse.Namespace, network: Network) -> list[dict[str, Any]]:
    """All places of one network."""
    expected, found = network.expected(), []

    some = spread(network.inputs, options.layer_inputs)
    digests = c_layers.reference_digests(network.graph, some)

    def note(where: str, values: NDArray[np.int8], started: float, layers: list[int] | None = None) -> None:
        found.append(row(network, where, values, expected))
        if layers is not None:
            equal = sum(mine == theirs for mine, theirs in zip(layers, digests, strict=True))
            found[-1] |= {"layers": len(digests), "layers_equal": equal, "layer_inputs": len(some)}
        same = f"{found[-1]['elements_equal']} of {found[-1]['elements']} elements"
        same += f", {found[-1]['layers_equal']} of {len(digests)} layers" if layers is not None else ""
        print(f"{network.name} {network.form} {where}: {same}, {time.monotonic() - started:.0f} s", file=sys.stderr)

    started = time.monotonic()
    logits = on_runtime(network, "native-c", options.timeout)
    note(HOST, logits, started, c_layers.host_digests(network.graph, some))
    if network.form == "int8":
        started = time.monotonic()
        note(TFLM, on_runtime(network, "tflm", options.timeout), started)
    generated = c_artefact(bundle(network.graph))
    for core in options.cores:
        started = time.monotonic()
        logits = bench_emulated(generated, core, network.inputs, timeout=options.timeout)[1]
        layers = c_layers.core_digests(network.graph, some, core, options.timeout)
        note(f"qemu:{core}", logits, started, layers)
    return found


def spread(inputs: NDArray[np.int8], count: int) -> NDArray[np.int8]:
    """`count` of the inputs, evenly over clips and random ones."""
    return inputs[np.linspace(0, len(inputs) - 1, min(count, len(inputs))).astype(int)]


def wrong(row: dict[str, Any]) -> bool:
    """Whether anything in a row differs from the reference."""
    return row["elements_equal"] != row["elements"] or row.get("layers_equal") != row.get("layers")


def table(document: dict[str, Any]) -> str:
    """The document's rows as text."""
    rows = [
        (each["network"], each["form"], f"{100 * each['zeros']:.1f} %", each["where"],
         f"{each['clips_equal']}/{each['clips']}", f"{each['random_equal']}/{each['random']}",
         f"{each['elements_equal']:,}/{each['elements']:,}",
         f"{each['layers_equal']}/{each['layers']} on {each['layer_inputs']}" if "layers" in each else "")
        for each in document["rows"]
    ]  # fmt: skip
    return as_text(
        [Table(("network", "form", ">zeros", "where", ">clips", ">random", ">elements", ">whole layers"), rows)]
    )


def main() -> int:
    options = arguments()
    dataset = open_dataset(options.data)
    rows: list[dict[str, Any]] = []
    document: dict[str, Any] = {
        "schema": 1,
        "benchmark": "c-equality",
        "date": date.today().isoformat(),
        "data": dataset.name,
        "machine": describe_machine(),
        "rows": rows,
    }
    path: Path = options.out / f"{document['date']}-c-equality.json"
    for network in networks(options, dataset, options.clips, options.random):
        rows += measured(options, network)
        document["passed"] = not any(wrong(each) for each in rows)
        write_json(path, document)  # after every network: the whole takes a while
    print(table(document))
    print(path)
    return int(not document["passed"])


if __name__ == "__main__":
    sys.exit(main())
