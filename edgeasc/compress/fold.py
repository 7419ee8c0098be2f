"""From a trained network to the steps of a quantised one: batch norm folded, ReLU fused, layers named by their paths.

The network is traced to a linear list of leaf modules (`edgeasc.nn.layers.trace`). A convolution swallows the batch
norm or sub-spectral norm and the ReLU that alone read it; a residual normalisation becomes the chain of operators that
TFLite has (form `int8`) or stays one float region (form `island`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, fx, nn

from edgeasc.compress.fold_transformer import TRANSFORMER_LAYERS
from edgeasc.compress.sequence_steps import SEQUENCE_STEPS
from edgeasc.compress.steps import (
    AddStep,
    AvgPoolStep,
    Constant,
    ConvStep,
    FlooredStep,
    LogisticStep,
    MaxPoolStep,
    MeanStep,
    MulStep,
    ResNormStep,
    RsqrtStep,
    SiluStep,
    SquareStep,
    Step,
    SubStep,
    Surrogate,
    TimeMaxStep,
    VarianceStep,
)
from edgeasc.errors import BadInput, UsageError
from edgeasc.graph.model import Form
from edgeasc.nn.layers import (
    Add,
    FrequencyMean,
    GlobalMean,
    MelNorm,
    ResNorm,
    SubSpectralNorm,
    TimeMax,
    TimeMean,
    trace,
)
from edgeasc.nn.sequence import BlurPool, Regroup

Sides = tuple[int, int, int, int]  # frequency before, time before, frequency after, time after
INPUT = "input"
NO_ZEROS: Sides = (0, 0, 0, 0)
MIN_EPS = 1e-3  # smaller ones cannot be told from zero on an int8 grid


def fold_network(network: nn.Module, form: Form) -> list[Step]:
    """The steps of `network` in execution order; the last one makes the logits.

    Raises:
        BadInput: a layer that has no quantised form, by name.
        UsageError: a residual normalisation whose eps is too small to quantise.
    """
    return _Folder(trace(network), form).steps


class _Folder:
    """Walks the traced nodes once; `where` maps each node to the step that makes its value."""

    def __init__(self, traced: fx.GraphModule, form: Form) -> None:
        self.modules = dict(traced.named_modules())
        self.form = form
        self.steps: list[Step] = []
        self.where: dict[fx.Node, str] = {}
        self.done: set[fx.Node] = set()
        self.zeros: dict[fx.Node, Sides] = {}  # put around the input of convolutions, which do so themselves
        for node in traced.graph.nodes:
            if node not in self.done:
                self.visit(node)

    def visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.where[node] = INPUT
        elif node.op == "call_module":
            self.module(node, str(node.target), self.modules[str(node.target)])
        elif node.op != "output":
            raise BadInput("compress", f"operation {node.name!r} ({node.op} {node.target}) has no quantised form")

    def module(self, node: fx.Node, name: str, module: nn.Module) -> None:
        sources = [value for value in (*node.args, *node.kwargs.values()) if isinstance(value, fx.Node)]
        inputs = tuple(self.where[source] for source in sources)
        if any(source in self.zeros for source in sources) and not isinstance(module, nn.Conv2d | nn.ZeroPad2d):
            what = f"layer {name!r} ({type(module).__name__})"
            raise BadInput("compress", f"{what} reads zeros put around its input; only a convolution has its own")
        if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Identity):
            self.where[node] = inputs[0]
            return
        if isinstance(module, Regroup) and self.only_reader(node, Regroup) is not None:
            self.where[node] = inputs[0]  # the next one decides
            return
        if type(module) in SEQUENCE_STEPS:
            self.emit(node, SEQUENCE_STEPS[type(module)](name, inputs, module))
            return
        handler = self.handlers().get(type(module))
        if handler is None:
            raise BadInput("compress", f"layer {name!r} ({type(module).__name__}) has no quantised form")
        handler(node, name, module, inputs)

    def handlers(self) -> dict[type, Callable[[fx.Node, str, nn.Module, tuple[str, ...]], None]]:
        return {
            nn.Conv2d: self.conv,
            BlurPool: self.conv,
            nn.ZeroPad2d: self.zero_pad,
            Add: self.add,
            nn.SiLU: self.silu,
            ResNorm: self.resnorm,
            FrequencyMean: self.mean,
            TimeMean: self.mean,
            GlobalMean: self.mean,
            TimeMax: self.time_max,
            nn.MaxPool2d: self.max_pool,
            nn.AvgPool2d: self.avg_pool,
            nn.BatchNorm2d: self.norm,
            SubSpectralNorm: self.norm,
            MelNorm: self.norm,
            **{kind: partial(fold, self) for kind, fold in TRANSFORMER_LAYERS.items()},
        }

    def emit(self, node: fx.Node, step: Step) -> None:
        self.steps.append(step)
        self.where[node] = step.name

    def only_reader(self, node: fx.Node, *kinds: type[nn.Module]) -> tuple[fx.Node, nn.Module] | None:
        """The one node that reads `node`, if it is a module of one of `kinds`."""
        if len(node.users) != 1:
            return None
        reader = next(iter(node.users))
        module = self.modules.get(str(reader.target)) if reader.op == "call_module" else None
        return (reader, module) if isinstance(module, kinds) else None

    def fused_relu(self, node: fx.Node) -> tuple[fx.Node, bool]:
        relu = self.only_reader(node, nn.ReLU)
        if relu is None:
            return node, False
        self.done.add(relu[0])
        return relu[0], True

    def conv(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        assert isinstance(module, nn.Conv2d)
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise BadInput(
                "compress", f"layer {name!r}: padding {module.padding_mode}/{module.padding} is not supported"
            )
        weight = module.weight.detach().clone()
        offset = module.bias.detach().clone() if module.bias is not None else torch.zeros(len(weight))
        gain = None
        last = node
        direct = self.only_reader(node, nn.BatchNorm2d)
        norm = direct or self.norm_behind_pool(node)
        if norm is not None:
            behind, batch_norm = norm
            assert isinstance(batch_norm, nn.BatchNorm2d)
            self.done.add(behind)
            last = behind if direct else node
            factor, shift = _affine(batch_norm)
            if isinstance(batch_norm, SubSpectralNorm):
                bands = batch_norm.bands
                gain = factor.view(-1, bands)  # [C, bands]
                offset = shift.view(-1, bands) + offset[:, None] * gain
            else:
                weight = weight * factor.view(-1, 1, 1, 1)
                offset = offset * factor + shift
        last, relu = self.fused_relu(last)
        plain = module.bias is None and norm is None
        fixed, zeros = not isinstance(module.weight, nn.Parameter), self.zeros.get(node.all_input_nodes[0], NO_ZEROS)
        step = ConvStep(
            name, inputs, module, weight, offset, gain, relu=relu, without_bias=plain, is_fixed=fixed, zeros=zeros
        )
        self.emit(last, step)

    def zero_pad(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        """Zeros that only convolutions read become their padding."""
        assert isinstance(module, nn.ZeroPad2d)
        left, right, top, bottom = module.padding
        before = self.zeros.get(node.all_input_nodes[0], NO_ZEROS)
        self.zeros[node] = (before[0] + top, before[1] + left, before[2] + bottom, before[3] + right)
        self.where[node] = inputs[0]

    def norm_behind_pool(self, node: fx.Node) -> tuple[fx.Node, nn.Module] | None:
        """The batch norm behind an average pool that alone reads `node`: the same as one before the pool."""
        pool = self.only_reader(node, nn.AvgPool2d)
        norm = self.only_reader(pool[0], nn.BatchNorm2d) if pool is not None else None
        return norm if norm is not None and not isinstance(norm[1], SubSpectralNorm) else None

    def norm(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        """A batch norm that no convolution swallows: a depth-wise convolution of one tap."""
        assert isinstance(module, nn.BatchNorm2d)
        factor, shift = _affine(module)
        bands = module.bands if isinstance(module, SubSpectralNorm) else 1
        channels = module.num_features // bands
        conv = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        weight, gain, offset = torch.ones(channels, 1, 1, 1), None, shift
        if bands > 1:
            gain, offset = factor.view(channels, bands), shift.view(channels, bands)
        else:
            weight = weight * factor.view(-1, 1, 1, 1)
        last, relu = self.fused_relu(node)
        self.emit(last, ConvStep(name, inputs, conv, weight, offset, gain, relu=relu, without_bias=False, is_norm=True))

    def add(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        last, relu = self.fused_relu(node)
        self.emit(last, AddStep(name, inputs, relu=relu))

    def silu(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        if self.form == "island":
            self.emit(node, SiluStep(name, inputs))
            return
        gate = LogisticStep(f"{name}/sigmoid", inputs)
        self.steps.append(gate)
        self.emit(node, MulStep(name, (*inputs, gate.name)))

    def mean(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        assert isinstance(module, FrequencyMean | TimeMean | GlobalMean)
        if isinstance(module, TimeMean):
            self.emit(node, MeanStep(name, inputs, "T", True))
            return
        self.emit(node, MeanStep(name, inputs, "F" if isinstance(module, FrequencyMean) else "FT", module.keepdim))

    def time_max(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        self.emit(node, TimeMaxStep(name, inputs))

    def max_pool(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        assert isinstance(module, nn.MaxPool2d)
        self.emit(node, MaxPoolStep(name, inputs, *_windows(name, module)))

    def avg_pool(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        assert isinstance(module, nn.AvgPool2d)
        norm = self.only_reader(node, nn.BatchNorm2d)
        swallowed = norm is not None and norm[0] in self.done  # by the convolution before
        last, relu = self.fused_relu(norm[0] if norm is not None and swallowed else node)
        self.emit(last, AvgPoolStep(name, inputs, *_windows(name, module), relu=relu))

    def resnorm(self, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
        assert isinstance(module, ResNorm)
        if module.eps < MIN_EPS:
            why = f"{name}: eps {module.eps:g} is below {MIN_EPS:g}, which int8 statistics need; set model.options.eps"
            raise UsageError("compress", why)
        if self.form == "island":
            self.emit(node, ResNormStep(name, inputs, module.lam, module.eps))
            return
        (source,) = inputs
        chain: list[Step] = [
            mean := MeanStep(f"{name}/mean", (source,), "CT", True),
            centred := SubStep(f"{name}/centred", (source, mean.name)),
            square := SquareStep(f"{name}/square", (centred.name, centred.name)),
            variance := VarianceStep(f"{name}/variance", (square.name,), "CT", True),
            eps := Constant(f"{name}/eps", module.eps),
            floored := FlooredStep(f"{name}/floored", (variance.name, eps.name), relu=False),
            inverse := RsqrtStep(f"{name}/inverse", (floored.name,)),
        ]
        normal = MulStep(name if module.lam == 0 else f"{name}/normal", (centred.name, inverse.name))
        chain.append(normal)
        if module.lam != 0:
            lam = Constant(f"{name}/lam", module.lam)
            shortcut = MulStep(f"{name}/shortcut", (source, lam.name))
            chain += [lam, shortcut, AddStep(name, (shortcut.name, normal.name), relu=False)]
        for step in chain[:-1]:
            step.inside = True
        chain[-1].surrogate = Surrogate(source, ResNormStep(name, inputs, module.lam, module.eps))
        self.steps += chain
        self.where[node] = name


def _windows(name: str, module: nn.MaxPool2d | nn.AvgPool2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel and stride of a pooling layer.

    Raises:
        BadInput: it pads, dilates or rounds up.
    """
    dilation = _pair(module.dilation) if isinstance(module, nn.MaxPool2d) else (1, 1)
    if _pair(module.padding) != (0, 0) or dilation != (1, 1) or module.ceil_mode:
        raise BadInput("compress", f"layer {name!r}: pooling with padding, dilation or ceil_mode has no quantised form")
    return _pair(module.kernel_size), _pair(module.stride)


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Gain and offset that an evaluated batch norm applies per channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias.detach() - norm.running_mean * factor


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
