"""Which extra of edgeasc brings which module, so that a missing one is named with the command that installs it."""

from __future__ import annotations

from edgeasc.errors import MissingDependency

EXTRA_OF = {
    "scipy": "audio",
    "soundfile": "audio",
    "soxr": "audio",
    "torch": "train",
    "lightning": "train",
    "sklearn": "train",
    "tensorboard": "train",
    "onnxruntime": "onnx",
    "ai_edge_litert": "tflite",
    "tflite_runtime": "tflite",
    "tflite_micro": "tflm",
    "tensorflow": "tensorflow",
    "nncf": "nncf",
    "torchao": "nncf",
    "ethosu": "mcu",
    "serial": "mcu",
    "jinja2": "report",
    "matplotlib": "report",
    "emx_onnx_cgen": "dev",
}
BASE = ("numpy", "click", "pydantic", "rich", "onnx", "tflite", "flatbuffers", "safetensors")


def missing(module: str | None) -> MissingDependency | None:
    """The error to raise where importing `module` failed; None when the module is none of our dependencies."""
    top = (module or "").split(".")[0]
    if top in EXTRA_OF:
        extra = EXTRA_OF[top]
        return MissingDependency(top, f"not installed; pip install 'edgeasc[{extra}]'")
    if top in BASE:
        return MissingDependency(top, "not installed; pip install edgeasc")
    return None
