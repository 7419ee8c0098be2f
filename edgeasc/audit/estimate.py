"""Time and energy of one inference on a target, estimated from operators and cycles, always as a band.

cycles = sum over operators of (multiply-accumulates x cycles of their kind, or elements x cycles per element)
         + cycles per operator; time = cycles / clock; energy = time x power.

Low and high add up the low and the high ends: the quality of an engine is the same for all operators of a network.
What the ends mean, and where they come from, is the target's `basis` and `published`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from edgeasc.audit.runtimes import FLOATS, first_activation
from edgeasc.audit.target_document import ENDS, Estimate
from edgeasc.audit.targets import Band, Cycles, Network, Placed
from edgeasc.graph.stored import StoredModel, StoredOperator

Work = Literal["conv", "depthwise", "dense", "element", "table", "move", "nothing"]
INT16_FACTOR = Band(low=1.0, typical=1.5, high=3.0)  # 16-bit activations against 8-bit ones; no published source

_DEPTHWISE = ("DEPTHWISE_CONV_2D",)
_DENSE = (
    "FULLY_CONNECTED", "BATCH_MATMUL", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "RNN", "Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "QGemm", "GRU",
    "Attention", "Einsum",
)  # fmt: skip
_TABLE = (
    "LOGISTIC", "TANH", "SOFTMAX", "LOG_SOFTMAX", "HARD_SWISH", "ELU", "GELU", "EXP", "LOG", "SQRT", "RSQRT", "SIN",
    "COS", "POW", "DIV", "FLOOR_DIV", "FLOOR_MOD", "L2_NORMALIZATION", "Sigmoid", "Tanh", "Softmax", "LogSoftmax",
    "HardSwish", "HardSigmoid", "Elu", "Gelu", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Pow", "Div",
    "Mish", "Softplus", "InstanceNormalization", "LayerNormalization", "QLinearSigmoid", "QLinearSoftmax",
)  # fmt: skip
_MOVE = (
    "PAD", "PADV2", "MIRROR_PAD", "CONCATENATION", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "TRANSPOSE",
    "GATHER", "GATHER_ND", "PACK", "UNPACK", "TILE", "BROADCAST_TO", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
    "RESIZE_NEAREST_NEIGHBOR", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "REVERSE_V2", "RESHAPE", "EXPAND_DIMS",
    "SQUEEZE", "Pad", "Concat", "Slice", "Split", "Transpose", "Gather", "GatherND", "Tile", "Expand",
    "DepthToSpace", "SpaceToDepth", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "QLinearConcat",
)  # fmt: skip
_NOTHING = ("SHAPE", "RANK", "VAR_HANDLE", "CALL_ONCE", "Shape", "Constant", "Identity", "ConstantOfShape", "Dropout")
# Operators that read far more than they write: their work is what they read
_READS = (
    "MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "L2_POOL_2D",
    "MAX_POOL_2D", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "GlobalAveragePool", "GlobalMaxPool", "ArgMax",
    "AveragePool", "MaxPool", "QLinearGlobalAveragePool", "QLinearAveragePool",
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """The work of one operator: `amount` multiply-accumulates or elements."""

    work: Work
    amount: int
    floating: bool
    bits: int


def loads(model: StoredModel, macs: Iterable[int]) -> list[Load]:
    """The work of every operator of `model`; `macs` are the multiply-accumulates of each, in their order."""
    made_by = (operator for operator in model.operators if operator.op == "DequantizeLinear")
    quantised = frozenset(index for operator in made_by for index in operator.outputs)
    return [_load(operator, model, count, quantised) for operator, count in zip(model.operators, macs, strict=True)]


def _load(operator: StoredOperator, model: StoredModel, macs: int, quantised: frozenset[int]) -> Load:
    """One operator's work; tensors in `quantised` are written as floats and computed as 8-bit integers (QDQ)."""
    data = first_activation(operator, model)
    if data is None:  # on constants alone: runtimes do it once, before the first inference
        return Load("nothing", 0, False, 8)
    floating, bits = data.dtype in FLOATS, data.bits
    if operator.inputs[0] in quantised:
        floating, bits = False, 8
    if macs:
        return Load(_mac_kind(operator, model), macs, floating, bits)
    work: Work = "element"
    if operator.op in _TABLE:
        work = "table"
    elif operator.op in _MOVE:
        work = "move"
    elif operator.op in _NOTHING:
        work = "nothing"
    written = sum(model.tensors[index].elements for index in operator.outputs)
    read = data.elements if operator.op in _READS else 0
    return Load(work, max(written, read), floating, bits)


def _mac_kind(operator: StoredOperator, model: StoredModel) -> Work:
    if operator.op in _DENSE:
        return "dense"
    if operator.op in _DEPTHWISE:
        return "depthwise"
    weight_place = 3 if operator.op == "QLinearConv" else 1
    if operator.op in ("Conv", "ConvInteger", "QLinearConv", "FusedConv") and len(operator.inputs) > weight_place:
        weight = model.tensors[operator.inputs[weight_place]]
        data = first_activation(operator, model)
        if data is not None and len(weight.shape) > 1 and weight.shape[1] == 1 and data.shape[1:2] not in ((1,), ()):
            return "depthwise"
    return "conv"


def count_cycles(work: Iterable[Load], cycles: Cycles) -> Band:
    """Cycles of all `work` on a core."""
    totals = dict.fromkeys(ENDS, 0.0)
    for load in work:
        for end in ENDS:
            totals[end] += getattr(cycles.operator, end)
            if load.work != "nothing":
                totals[end] += load.amount * _per_unit(load, cycles, end)
    return Band(**totals)


def _per_unit(load: Load, cycles: Cycles, end: str) -> float:
    product = load.work in ("conv", "depthwise", "dense")
    name = f"float_{load.work}" if product and load.floating else load.work
    cost: float = getattr(getattr(cycles, name), end)
    if product and not load.floating and load.bits == 16:
        cost *= getattr(INT16_FACTOR, end)
    return cost


def network_loads(network: Network, floating: bool = False) -> list[Load]:
    """A published network as work: one load per kind that it has."""
    kinds: tuple[Work, ...] = ("conv", "depthwise", "dense")
    counts = [(kind, int(getattr(network, kind))) for kind in kinds]
    return [Load(kind, count, floating, 32 if floating else 8) for kind, count in counts if count]


def milliseconds(cycles: Band, clock_hz: float) -> Band:
    """Time of `cycles` at a clock."""
    return Band(**{end: 1e3 * getattr(cycles, end) / clock_hz for end in ENDS})


def estimate_latency(model: StoredModel, macs: Iterable[int], placed: Placed, on_core: Collection[int]) -> Estimate:
    """Milliseconds of one inference; operators numbered in `on_core` are priced with the cycles of the host."""
    from edgeasc.audit.targets import read_target

    target, work = placed.target, loads(model, macs)
    time = milliseconds(
        count_cycles((load for number, load in enumerate(work) if number not in on_core), target.cycles),
        placed.clock_hz,
    )
    if on_core and target.host:
        host = read_target(target.host)
        slowed = placed.clock_hz / target.clock_hz
        left = count_cycles((load for number, load in enumerate(work) if number in on_core), host.cycles)
        extra = milliseconds(left, host.clock_hz * slowed)
        time = Band(**{end: getattr(time, end) + getattr(extra, end) for end in ENDS})
    return Estimate(time.low, time.typical, time.high, "estimated", " ".join(target.basis.split()))


def estimate_energy(latency: Estimate, placed: Placed) -> Estimate | None:
    """Millijoules of one inference from its time and the chip's power; None where no power is published.

    Power is taken to go with the clock, so that another clock changes the time and hardly the energy.
    """
    power = placed.target.power
    if power is None:
        return None
    share = placed.clock_hz / placed.target.clock_hz
    ends = [1e-3 * getattr(latency, end) * getattr(power.milliwatts, end) * share for end in ENDS]
    basis = f"time ({latency.origin}) x power: {power.source}"
    return Estimate(ends[0], ends[1], ends[2], "estimated", basis)
