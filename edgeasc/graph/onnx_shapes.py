"""Shapes of an .onnx file by ONNX's own inference: native code, which runs on a stranger's file in its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgeasc.errors import BadInput, ResourceExhausted
from edgeasc.graph.onnx_scopes import scopes, sequences
from edgeasc.graph.stored import count_elements

if TYPE_CHECKING:
    import onnx

Shapes = dict[str, tuple[str, tuple[int, ...]]]
Scoped = dict[str, Shapes]  # by the path of the graph, see `onnx_scopes`

INFERENCE_SECONDS = 60  # of the clock, which may be that of a busy machine
INFERENCE_CPU_SECONDS = 5  # of the processor: longer, and the file is to blame
_OUT_OF_TIME = getattr(signal, "SIGXCPU", 0)  # not on Windows, where the clock ends it
MAX_ELEMENTS = 2**28  # of one tensor; an audio network has far less, a hostile file may claim anything


def inferred_shapes(model: onnx.ModelProto) -> Scoped:
    """dtype and shape of every tensor that inference knows, from a child process.

    Raises:
        BadInput: shapes that do not fit together, are absurd, or have no end. ResourceExhausted: the clock ran out.
    """
    import edgeasc

    home = str(Path(edgeasc.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {home!r}); from edgeasc.graph.onnx_shapes import infer; "
    program += f"infer({INFERENCE_CPU_SECONDS})"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            input=model.SerializeToString(),
            capture_output=True,
            timeout=INFERENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ResourceExhausted("ONNX", f"shape inference took more than {INFERENCE_SECONDS} s") from None
    if done.returncode and done.returncode == -_OUT_OF_TIME:
        raise BadInput("ONNX", f"shape inference has no end within {INFERENCE_CPU_SECONDS} s of the processor")
    if done.returncode < 0:
        raise BadInput("ONNX", f"shape inference does not survive it (signal {-done.returncode})")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BadInput("ONNX", f"shapes do not fit together ({lines[-1][:200]})")
    return {path: _checked(shapes) for path, shapes in json.loads(done.stdout).items()}


def _checked(shapes: dict[str, tuple[str, list[int]]]) -> Shapes:
    found = {name: (dtype, tuple(shape)) for name, (dtype, shape) in shapes.items()}
    for name, (_, shape) in found.items():
        if count_elements(shape) > MAX_ELEMENTS or min(shape, default=0) < -1:
            raise BadInput("ONNX", f"tensor {name!r} of shape {shape}")
    return found


def _limit_processor(seconds: int) -> None:
    """End this process when a file makes it compute for too long; where systems have no such limit, the clock does."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def infer(seconds: int) -> None:
    """The child: a model on stdin, `{path of the graph: {tensor: [dtype, shape]}}` on stdout."""
    _limit_processor(seconds)
    import onnx
    from onnx import shape_inference

    from edgeasc.graph.onnx_stand_ins import put_stand_ins

    model = onnx.ModelProto()
    model.ParseFromString(sys.stdin.buffer.read())
    firsts = [item.type.tensor_type.shape.dim[:1] for item in model.graph.input]
    batches = [dim for dims in firsts for dim in dims if not dim.HasField("dim_value")]
    for dim in batches:
        dim.dim_value = 1
    declared = declared_shapes(model.graph)
    for _, graph in scopes(model.graph):
        for item in (*graph.output, *graph.value_info):  # found anew, with a batch of 1
            item.type.tensor_type.ClearField("shape")
    put_stand_ins(model)

    def inferred() -> Scoped:
        graph = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True).graph
        return declared_shapes(graph)

    found = inferred()
    best = {path: _best(shapes, declared[path], batch=not path) for path, shapes in found.items()}
    along = set(sequences(model.graph)) if batches else set()
    if along:
        for dim in batches:
            dim.dim_value = 2
        _open_sequences(best, found, inferred(), along)
    sys.stdout.write(json.dumps(best))


def _open_sequences(best: Scoped, once: Scoped, twice: Scoped, along: set[str]) -> None:
    """Open the first side of every sequence in `best` that grows with what was taken for the batch: it is none."""
    for path, shapes in once.items():
        for name in along & shapes.keys() & twice[path].keys():
            if shapes[name][1][:1] != twice[path][name][1][:1]:
                dtype, shape = best[path][name]
                best[path][name] = (dtype, (-1, *shape[1:]))


def _best(inferred: Shapes, declared: Shapes, batch: bool) -> Shapes:
    """What inference found; where that leaves sides open, what the file declared, with a `batch` of 1."""
    best = dict(inferred)
    for name, (dtype, shape) in declared.items():
        if name not in inferred or (min(inferred[name][1], default=0) < 0 and min(shape[1:], default=0) >= 0):
            best[name] = (dtype, (1, *shape[1:]) if batch and shape[:1] == (-1,) else shape)
    return best


def declared_shapes(graph: onnx.GraphProto) -> Scoped:
    """dtype and shape of every tensor for which the file itself says both, graph by graph; an open side is -1."""
    return {path: _declared(inner) for path, inner in scopes(graph)}


def _declared(graph: onnx.GraphProto) -> Shapes:
    from onnx import helper

    found = {}
    for item in (*graph.input, *graph.output, *graph.value_info):
        kind = item.type.tensor_type
        if kind.elem_type and kind.HasField("shape"):
            dtype = str(helper.tensor_dtype_to_np_dtype(kind.elem_type))
            found[item.name] = (dtype, tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim))
    return found
