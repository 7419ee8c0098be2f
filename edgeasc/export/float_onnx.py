"""The float network of a trained run as ONNX: what ONNX Runtime and other tools take where nothing is quantised.

PyTorch's exporter writes the graph; front end, labels and length of a clip go into the metadata, so that `predict` and
`evaluate` take the file. Here `export` meets torch, as in nothing else of this room.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeasc.errors import BadInput, MissingDependency, UsageError
from edgeasc.export.folder import whole_folder
from edgeasc.export.ladder import Limit, Logits, Rung, compare
from edgeasc.export.parity import ParityFailed
from edgeasc.files import sha256, write_bytes, write_json
from edgeasc.runtime.artefact import onnx_artefact, read_run
from edgeasc.runtime.catalogue import RUNTIMES
from edgeasc.runtime.runner import open_runner

if TYPE_CHECKING:
    from torch import nn

OPSET = 17
FLOAT = Limit(top1=0.99, mean_logit=1e-3)  # two programs that sum float32 in orders of their own
CLIPS = 20


def is_float_run(source: Path) -> bool:
    """Whether `source` is the folder of a run that was trained and not compressed."""
    from edgeasc.runs import Run

    return source.is_dir() and Run(source).exists and Run(source).info().kind == "train"


def export_float(source: Path, out: Path, *, clips: int = CLIPS, threads: int = 1) -> dict[str, Any]:
    """Write `model.onnx` and `parity.json` of the trained run `source` into `out`.

    Args:
        clips: seeded inputs on which ONNX Runtime has to agree with torch.

    Returns:
        {files, parity}: names, bytes and digests, and the parity document.

    Raises:
        BadInput: the run is not complete. ParityFailed: ONNX Runtime computes something else; nothing is written.
    """
    from edgeasc.runs import Run
    from edgeasc.train.run import load_network

    if Run(source).info().state != "complete":
        raise BadInput("run", "not a completed training", source)
    network, recipe, _ = load_network(source)
    shape = (recipe.features.n_mels, recipe.n_frames)
    payload = float_onnx_bytes(network, shape, read_run(source).metadata)
    parity = _parity(network, payload, _inputs(clips, shape, recipe.features.silence), threads)
    if not parity["passed"]:
        raise ParityFailed(parity, source)
    with whole_folder(out) as folder:
        write_bytes(folder / "model.onnx", payload)
        write_json(folder / "parity.json", parity)
    files = [{"name": "model.onnx", "bytes": len(payload), "sha256": sha256(payload)}]
    return {"files": files, "parity": parity}


def float_onnx_bytes(network: nn.Module, shape: tuple[int, int], metadata: dict[str, str]) -> bytes:
    """The ONNX file of `network` for inputs `[batch, 1, n_mels, n_frames]` of the given (n_mels, n_frames).

    Raises:
        UsageError: a layer that the exporter does not know.
    """
    import onnx
    import torch

    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                (torch.zeros(1, 1, *shape),),
                stream,  # type: ignore[arg-type]  # a file object is taken, its type is not told
                input_names=["input"],
                output_names=["logits"],
                dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise UsageError("ONNX", f"PyTorch's exporter refuses the network ({str(error).splitlines()[0]})") from error
    model = onnx.load_from_string(stream.getvalue())
    model.producer_name, model.producer_version = "edgeasc", ""
    onnx.helper.set_model_props(model, {"edgeasc.form": "float", **metadata})
    return bytes(model.SerializeToString(deterministic=True))


def _inputs(clips: int, shape: tuple[int, int], silence: float) -> Logits:
    """Seeded noise [clips, 1, n_mels, n_frames] of the size that features have: levels above silence, or samples."""
    random = np.random.default_rng(0)
    spread = 0.3 if shape[0] == 1 else 3.0
    values = 0.6 * silence + random.normal(0, spread, (clips, 1, *shape)) + random.normal(0, spread, (clips, 1, 1, 1))
    return values.astype(np.float32)


def _parity(network: nn.Module, payload: bytes, inputs: Logits, threads: int) -> dict[str, Any]:
    """The parity document of the file in ONNX Runtime against torch, in evaluation mode."""
    from edgeasc.train.predict import network_predict

    predict = network_predict(network)
    judge = np.concatenate([predict(inputs[at : at + 1]) for at in range(len(inputs))])
    try:
        with open_runner(onnx_artefact(payload), "onnxruntime", threads=threads, timeout=300.0) as runner:
            found = runner.predict(inputs)
            version = f"onnxruntime {runner.version}"
        rung = compare("onnxruntime", "float network", found, judge, 1.0, FLOAT, version)
        rung = replace(rung, equal=None, max_steps=None)  # of floats neither says anything
    except MissingDependency:
        why = f"not run: {RUNTIMES['onnxruntime'].install}"
        rung = Rung("onnxruntime", "float network", len(inputs), str(FLOAT), why=why)
    return {
        "schema": 1,
        "form": "float",
        "inputs": "random",
        "clips": len(inputs),
        "rungs": [rung.as_json()],
        "passed": rung.passed is not False,
    }
