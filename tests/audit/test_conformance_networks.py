"""Conformance, networks: every network of the registry, written and quantised every way that runtimes offer.

The numbers to match come from PyTorch: elements of the parameters, and multiply-accumulates added up by hooks while
the network runs. Batch-norm values are drawn at random, because an exporter merges tensors that are equal.
"""

import io
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from expected_counts import audited
from onnx import TensorProto, numpy_helper
from seeded import enliven
from torch import nn

from edgeasc.compress.quantnet import QuantNet
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Conv
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.nn.registry import create_model, list_models
from edgeasc.nn.sequence import Attention

WAVE_NETWORKS = ["eat-s-aa", "eat-s-gmme"]
NETWORKS = [name for name in list_models() if name not in WAVE_NETWORKS]
SHAPE = (1, 1, 64, 32)  # the smallest that every network on spectrograms takes
WAVES = (1, 1, 1, 1024)
EAT = {"samples": WAVES[3], "factors": "4", "channels": 4, "embedding": 16, "layers": 1, "heads": 2}
SMALL: dict[str, dict[str, Any]] = {
    "eat-s-aa": EAT,
    "eat-s-gmme": EAT | {"patch": 8, "gates": 2},
    "cnn10-resnet22": {"width": 1 / 32},
    "bcresnet-mod-1": {"c": 4, "eps": 1e-2},
    "bcresnet-mod-8": {"c": 8, "eps": 1e-2},
    "bcresnet-8": {"c": 8},
    **{key: {"width": 1 / 32} for key in ("cnn6", "cnn10", "cnn14", "mobilenet-v1", "resnet22", "wideresnet28-2")},
}


def features(n: int, seed: int, name: str = "") -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if name.startswith("eat"):
        return 0.3 * torch.randn(n, *WAVES[1:], generator=generator)
    return 3 * torch.randn(n, *SHAPE[1:], generator=generator) - 5


@cache
def network(name: str) -> nn.Module:
    torch.manual_seed(3)
    model = create_model(name, 5, **SMALL.get(name, {}))
    return enliven(model, (features(8, seed, name) for seed in range(3)), 0.3, 0.3)


@cache
def float_onnx(name: str) -> bytes:
    """The network as PyTorch exports it, batch norm unfolded."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network(name),
            (features(1, 0, name),),
            stream,
            opset_version=17,
            dynamo=False,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    return stream.getvalue()


def parameters(name: str) -> int:
    """Of the layers that have a part in the logits."""
    idle: tuple[str, ...] = getattr(network(name), "IDLE", ())
    return sum(parameter.numel() for path, parameter in network(name).named_parameters() if not path.startswith(idle))


@cache
def macs(name: str) -> int:
    """Output elements times weights per output channel, of every convolution and dense layer that ran; in attention
    every query meets every key and every value, in as many channels."""
    total = 0

    def add(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        each = 2 * output.shape[3] if isinstance(module, Attention) else module.weight[0].numel()  # type: ignore[union-attr,operator]
        total += output.numel() * each

    kinds = (nn.Conv2d, nn.Linear, Attention)
    modules = [module for module in network(name).modules() if isinstance(module, kinds)]
    hooks = [module.register_forward_hook(add) for module in modules]
    with torch.no_grad():
        network(name)(features(1, 0, name))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("name", NETWORKS)
def test_a_float_file_counts_as_the_module(tmp_path: Path, name: str) -> None:
    model = audited(tmp_path, float_onnx(name), ".onnx")
    assert (model.parameters.total, model.macs, model.unknown) == (parameters(name), macs(name), ())
    assert model.parameters.bytes == 4 * parameters(name)


@pytest.mark.parametrize("name", WAVE_NETWORKS)
def test_a_float_file_whose_pads_are_computed_at_run_time_has_lower_bounds_and_says_so(
    tmp_path: Path, name: str
) -> None:
    """PyTorch writes a mirrored pad as a small program, so that no side behind it is known."""
    model = audited(tmp_path, float_onnx(name), ".onnx")
    assert 0 < model.macs < macs(name)
    assert any("lower bounds" in note for note in model.notes)


@pytest.mark.parametrize("name", NETWORKS)
def test_torchinfo_of_a_float_file_adds_batch_norm(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.onnx").write_bytes(float_onnx(name))
    import edgeasc

    rule = edgeasc.audit(tmp_path / "model.onnx", rules=["dcase2024"], arena=False).models[0].rules[0]
    norms = sum(2 * m.num_features for m in network(name).modules() if isinstance(m, nn.BatchNorm2d))
    assert rule.macs is not None
    assert rule.macs.torchinfo >= macs(name) + norms
    assert rule.parameters == parameters(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_float16_file_takes_half_the_bytes(tmp_path: Path, name: str) -> None:
    model = onnx.load_from_string(float_onnx(name))
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.t.data_type == TensorProto.FLOAT:
                half = numpy_helper.to_array(attribute.t).astype(np.float16)
                attribute.t.CopyFrom(numpy_helper.from_array(half))
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.elem_type = TensorProto.FLOAT16
    found = audited(tmp_path, model.SerializeToString(), ".onnx")
    assert (found.parameters.total, found.parameters.bytes) == (parameters(name), 2 * parameters(name))
    assert found.macs == macs(name)


def quantised_by_onnx_runtime(folder: Path, name: str, how: str) -> bytes:
    quantization = pytest.importorskip("onnxruntime.quantization", reason="pip install 'edgeasc[onnx]'")
    source, result = folder / "float.onnx", folder / f"{how}.onnx"
    source.write_bytes(float_onnx(name))
    entry = onnx.load_from_string(float_onnx(name)).graph.input[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.rows = iter([{entry: features(1, seed, name).numpy()} for seed in range(2)])

        def get_next(self) -> Any:
            return next(self.rows, None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "dynamic":
            quantization.quantize_dynamic(source, result, weight_type=quantization.QuantType.QUInt8)
        else:
            form = quantization.QuantFormat[how]
            quantization.quantize_static(source, result, Reader(), quant_format=form, per_channel=how == "QDQ")
    return result.read_bytes()


@pytest.mark.parametrize("how", ["QDQ", "QOperator", "dynamic"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_quantised_by_onnx_runtime_counts_as_the_module(tmp_path: Path, name: str, how: str) -> None:
    model = audited(tmp_path, quantised_by_onnx_runtime(tmp_path, name, how), ".onnx")
    assert (model.parameters.total, model.macs, model.unknown) == (parameters(name), macs(name), ())
    assert model.parameters.bytes < 4 * parameters(name)


@pytest.mark.parametrize("form", ["int8", "island"])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("name", ["bcresnet-mod-1", "bcresnet-mod-8"])
def test_files_of_edgeasc_count_as_their_integer_graph(tmp_path: Path, name: str, form: str, suffix: str) -> None:
    net = QuantNet(network(name), form, SHAPE).eval()  # type: ignore[arg-type]
    net.observe([features(4, 100)])
    graph = net.freeze({"edgeasc.form": form})
    payload = onnx_bytes(graph) if suffix == ".onnx" else tflite_bytes(graph)
    model = audited(tmp_path, payload, suffix)
    convolutions = [node for node in graph.nodes if isinstance(node, Conv)]
    assert model.parameters.total == sum(node.weight.size + node.bias.size for node in convolutions)
    assert model.parameters.bytes == sum(node.weight.size + 4 * node.bias.size for node in convolutions)
    assert model.macs == macs(name)
