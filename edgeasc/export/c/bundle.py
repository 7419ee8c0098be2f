"""A C folder as one thing: its files, and `model.json`, which says what they compute and what they weigh."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeasc.errors import BadInput, CheckFailed
from edgeasc.export.c.choice import DEFAULT, Optimise
from edgeasc.export.c.facts import check_facts
from edgeasc.export.c.frontend import find_front_end, front_end_facts
from edgeasc.export.c.lower import lower
from edgeasc.export.c.memory import Layout, lay_out
from edgeasc.export.c.program import Port, Program
from edgeasc.export.c.readme import readme
from edgeasc.export.c.source import c_files
from edgeasc.export.c.strip_calls import in_strips
from edgeasc.export.c.strips import Plan, Stretch
from edgeasc.files import read_bytes, sha256, write_json, write_text
from edgeasc.graph.count import GraphCount, count
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.topology import without_unused

SCHEMA = 1
FACTS = "model.json"
README = "README.md"
PREFIX = "scene"
LARGEST_WEIGHTS = 16 * 1024**2  # bytes; their text is five times as long, and compilers take minutes
LARGEST_FILE = 64 * 1024**2  # bytes


@dataclass(frozen=True)
class Bundle:
    """The text files of a C folder by name; `facts` is `model.json`, which lists the digests of the others."""

    files: dict[str, str]
    facts: dict[str, Any]

    @property
    def payload(self) -> bytes:
        """Everything in one piece, always the same for the same files."""
        return json.dumps({"facts": self.facts, "files": self.files}, sort_keys=True).encode()

    @property
    def chip_sources(self) -> list[str]:
        """The C files that go onto a chip: all but the programs for the host."""
        return sorted(name for name in self.files if name.endswith(".c") and not name.endswith("_host.c"))


def bundle(
    graph: IntegerGraph,
    front_end: bool | None = None,
    plan: Plan = (),
    optimise: Optimise = DEFAULT,
    ram: int | None = None,
) -> Bundle:
    """The C folder of `graph`; nodes on which the output does not depend are left out.

    Args:
        front_end: with the integer front end and its stream; None: where the model names one that C can do.
        plan: stretches that run in strips, which saves RAM.
        optimise: what decides how weights are stored.
        ram: most bytes of the arena, for which the cheapest plan is looked for.

    Raises:
        BadInput: an operator that C has no kernel for, more than LARGEST_WEIGHTS, or a front end that is wanted and
            cannot be had.
        CheckFailed: no plan, or not the front end, gets below `ram`.
    """
    graph = without_unused(graph)
    stored = count(graph).stored_bytes
    if stored > LARGEST_WEIGHTS:
        why = f"{stored:,} B of weights and biases, more than the {LARGEST_WEIGHTS:,} B that C is written for"
        raise BadInput("C export", f"{why}: as much as a microcontroller maps of its flash; take the .tflite or .onnx")
    whole = lower(graph, optimise)
    if ram is not None:
        from edgeasc.export.c.ram import plan_for

        plan = plan_for(graph, whole, ram)
    program = in_strips(whole, graph, plan)
    layout = lay_out(program)
    if layout.arena_bytes >= 2**31:
        raise BadInput("C export", f"an arena of {layout.arena_bytes:,} B, more than 32 bits address")
    front, why = find_front_end(program, front_end)
    if ram is not None and front is not None and front.arena_bytes(layout) > ram:
        needed = f"the front end works in {front.arena_bytes(layout):,} B of the arena, {ram:,} B are allowed"
        raise CheckFailed("--ram", f"{needed}; --no-front-end leaves it out")
    whole_bytes = lay_out(whole).arena_bytes
    files = c_files(program, layout, PREFIX, front)
    files[README] = readme(program, layout, whole_bytes, PREFIX, front, files)
    facts = _facts(program, layout, count(graph), plan, files) | {
        "front_end": front_end_facts(front, layout, why),
        "optimise": optimise,
        "whole_arena_bytes": whole_bytes,
    }
    facts["bytes_by_role"]["front end"] = front.table_bytes if front else 0
    facts["constant_bytes"] += front.table_bytes if front else 0
    facts["arrays"] |= {array.name: array.role for array in (front.arrays if front else ())}
    return Bundle(files, facts)


def read_bundle(folder: Path) -> Bundle:
    """The C folder at `folder`, every file compared with its digest before anything else is done with it.

    Raises:
        BadInput: no C folder of ours, or one that was changed.
    """
    facts = _json_object(read_bytes(folder / FACTS, "C folder"), folder / FACTS)
    listed = facts.get("files")
    if facts.get("kind") != "c" or facts.get("schema") != SCHEMA or not isinstance(listed, dict) or not listed:
        raise BadInput("C folder", f"not {FACTS} of schema {SCHEMA}", folder / FACTS)
    files = {}
    for name, digest in sorted(listed.items()):
        if not isinstance(name, str) or not name or Path(name).name != name or name[0] == ".":
            raise BadInput("C folder", f"lists {name!r}, which is no plain file name", folder / FACTS)
        payload = read_bytes(folder / name, "C folder")
        if len(payload) > LARGEST_FILE or sha256(payload) != digest:
            raise BadInput("C folder", "changed since it was written", folder / name)
        files[name] = payload.decode("utf-8", errors="strict")
    check_facts(facts, files.get(f"{PREFIX}.h", ""), folder / FACTS)
    return Bundle(files, facts)


def plan_of(facts: Mapping[str, Any]) -> Plan:
    """The plan that a C folder was written with.

    Raises:
        BadInput: it is malformed.
    """
    try:
        return tuple(
            Stretch(int(row["first"]), int(row["end"]), int(row["strips"]), tuple(map(str, row["dropped"])))
            for row in facts.get("strips", ())
        )
    except (KeyError, TypeError, ValueError):
        raise BadInput("C folder", "`strips` is no plan", FACTS) from None


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write all files, `model.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in bundle.files.items():
        write_text(folder / name, text)
    write_json(folder / FACTS, bundle.facts)


def parse_payload(payload: bytes) -> Bundle:
    """The bundle in a `payload`."""
    document = json.loads(payload)
    return Bundle(document["files"], document["facts"])


def _json_object(payload: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadInput("C folder", "not JSON", path) from None
    if not isinstance(document, dict):
        raise BadInput("C folder", "not a JSON object", path)
    return document


def _facts(program: Program, layout: Layout, counts: GraphCount, plan: Plan, files: dict[str, str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": "c",
        "prefix": PREFIX,
        "form": program.form,
        "input": _port(program.input),
        "output": _port(program.output),
        "arena_bytes": layout.arena_bytes,
        "live_bytes": layout.live_bytes,
        "constant_bytes": program.constant_bytes,
        "bytes_by_role": program.bytes_by_role,
        "strips": [asdict(stretch) for stretch in plan],
        "arrays": {array.name: array.role for array in program.arrays},
        "layers": [
            {
                "name": counted.name,
                "op": counted.op,
                "output_shape": list(counted.output_shape),
                "function": steps[0].function,
                "storage": steps[0].storage,
                "index_bytes": steps[0].index_bytes,
                "arrays": list(dict.fromkeys(array.name for step in steps for array in step.arrays)),
                "weights": counted.weights,
                "nonzero_weights": counted.nonzero_weights,
                "parameters": counted.parameters,
                "nonzero": counted.nonzero,
                "bytes": counted.bytes,
                "biases": counted.biases,
                "nonzero_biases": counted.nonzero_biases,
                "macs": counted.macs,
                "activation_bytes": counted.activation_bytes,
            }
            for steps, counted in zip(program.layers, counts.layers, strict=True)
        ],
        "metadata": dict(sorted(program.metadata.items())),
        "files": {name: sha256(text.encode()) for name, text in sorted(files.items())},
    }


def _port(port: Port) -> dict[str, Any]:
    return {"shape": list(port.shape), "scale": port.scale, "zero_point": port.zero_point}
