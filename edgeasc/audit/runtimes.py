"""What a runtime computes, as data: `targets/runtimes/<name>.toml` lists its operators and their element types.

The lists are asked of the runtimes themselves and of vela's report; the tests ask again. Judging looks at the stored
model only: nothing is run.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, cached_property
from importlib import resources
from typing import Literal

import numpy as np

from edgeasc.audit.target_document import Unsupported
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor
from edgeasc.specs import Spec, parse_spec, read_toml

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
FLOATS = ("float32", "float16", "bfloat16", "float64")
NPU_DEPTH_WHY = "it reduces the channels together with other axes, which vela leaves to the core"


class Runtime(Spec):
    """Operators of a runtime by name.

    Attributes:
        hybrid: whether it multiplies float activations by integer weights.
        operators, custom: names separated by blanks; in ONNX a custom one is `domain:name`.
        types: operators by the element types, separated by blanks, of the first activation that they take.
    """

    name: str
    title: str
    reads: Literal["tflite", "onnx"]
    source: str
    hybrid: bool
    operators: str
    custom: str
    types: dict[str, str]

    @cached_property
    def known(self) -> frozenset[str]:
        """All operators, custom ones included, as `operator_key` spells them."""
        return frozenset(self.operators.split()) | {f"CUSTOM:{name}" for name in self.custom.split()}

    @cached_property
    def types_of(self) -> dict[str, frozenset[str]]:
        """Element types by operator; an operator that is not here is not judged by its types."""
        return {op: frozenset(types.split()) for types, names in self.types.items() for op in names.split()}


@cache
def read_runtime(name: str) -> Runtime:
    """The operator table called `name`, one of those that the targets name."""
    with resources.as_file(resources.files("edgeasc") / "targets" / "runtimes" / f"{name}.toml") as path:
        return parse_spec(Runtime, read_toml(path, "runtime"), path, "runtime")


def operator_key(operator: StoredOperator) -> str:
    """The operator as the tables spell it: ONNX operators of other domains are custom."""
    if operator.domain in ("", "ai.onnx"):
        return operator.op
    return f"CUSTOM:{operator.domain}:{operator.op}"


def unsupported(model: StoredModel, runtime: Runtime) -> tuple[Unsupported, ...]:
    """The operators of `model` that `runtime` does not compute, one entry per operator and reason."""
    found: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for operator in model.operators:
        why = refusal(operator, model, runtime)
        if why:
            found[operator.op, why] += 1
            first.setdefault((operator.op, why), operator.name)
    return tuple(Unsupported(op, count, why, first[op, why]) for (op, why), count in found.items())


def refusal(operator: StoredOperator, model: StoredModel, runtime: Runtime) -> str:
    """Why `runtime` does not compute `operator`; empty where nothing speaks against it."""
    if operator_key(operator) not in runtime.known:
        return f"no such operator in {runtime.title}"
    data = first_activation(operator, model)
    if data is None or runtime.reads == "onnx":
        return ""
    types = runtime.types_of.get(operator.op)
    if types is not None and data.dtype not in types:
        return f"not in {data.dtype} in {runtime.title}, only in {', '.join(sorted(types))}"
    if not runtime.hybrid and _is_hybrid(operator, model, data):
        return f"no float activations with integer weights (dynamic-range quantisation) in {runtime.title}"
    if runtime.name.startswith("ethos") and not _npu_reduces(operator, model, data):
        return NPU_DEPTH_WHY
    return ""


def first_activation(operator: StoredOperator, model: StoredModel) -> StoredTensor | None:
    """The first input that is no constant."""
    inputs = (model.tensors[index] for index in operator.inputs if index >= 0)
    return next((tensor for tensor in inputs if tensor.data is None), None)


def _is_hybrid(operator: StoredOperator, model: StoredModel, data: StoredTensor) -> bool:
    if operator.op not in WEIGHTED or data.dtype not in FLOATS or len(operator.inputs) < 2:
        return False
    weight = model.tensors[operator.inputs[1]] if operator.inputs[1] >= 0 else None
    return weight is not None and weight.data is not None and weight.dtype.startswith(("int", "uint"))


def _npu_reduces(operator: StoredOperator, model: StoredModel, data: StoredTensor) -> bool:
    """vela's rule for MEAN: a reduction over depth only where one of height, width and depth is 1."""
    if operator.op != "MEAN" or len(operator.inputs) < 2 or len(data.shape) != 4:
        return True
    axes = model.tensors[operator.inputs[1]].data if operator.inputs[1] >= 0 else None
    if axes is None:
        return False  # vela wants constant axes
    over_depth = 3 in {int(axis) % 4 for axis in np.asarray(axes).ravel()}
    return not over_depth or 1 in data.shape[1:]
