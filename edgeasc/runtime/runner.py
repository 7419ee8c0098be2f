"""`load_runner(path).predict(features) -> logits`, the same for every artefact and every runtime.

Layout, quantisation of the input and dequantisation of the output happen here, once: each runtime gets the integers of
`features.quantize` and nothing quantises for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput, UsageError
from edgeasc.runtime.artefact import Artefact, Quantisation, read_artefact
from edgeasc.runtime.catalogue import RUNTIMES, Runtime, default_runtime, find_runtime
from edgeasc.runtime.child import MEMORY_LIMIT, NO_LIMIT, Child
from edgeasc.specs import Waveform

if TYPE_CHECKING:
    from edgeasc.graph.model import IntegerGraph

Features = NDArray[np.float32] | NDArray[np.int8]
CHUNK_ITEMS = 16


class Runner:
    """One artefact in one runtime. Use it as a context manager, or call `close`.

    Attributes:
        runtime, version: what computes. artefact: what is computed, with `features`, `labels` and `clip_seconds`.
        input_shape: logical, `(1, n_mels, n_frames)`; 0 where any size will do.
        input, output: quantisation, None where the side is float.
        notes: what the runtime says of itself (kernels, optimisation level, `arena_bytes`).
    """

    def __init__(self, artefact: Artefact, runtime: Runtime) -> None:
        self.artefact = artefact
        self.runtime = runtime.name
        self.version = runtime.version or ""
        self.features, self.labels, self.clip_seconds = artefact.features, artefact.labels, artefact.clip_seconds
        self.input_shape: tuple[int, ...] = ()
        self.input, self.output = artefact.input, artefact.output
        self.notes: dict[str, Any] = {}

    @property
    def input_scale(self) -> float | None:
        """Scale of the int8 input; None where the input is float."""
        return None if self.input is None else self.input.scale

    @property
    def input_zero_point(self) -> int | None:
        """Zero point of the int8 input; None where the input is float."""
        return None if self.input is None else self.input.zero_point

    def predict(self, features: Features) -> NDArray[np.float32]:
        """Logits [B, n_classes] of features [B, 1, n_mels, n_frames], or waveforms [B, 1, n_samples] where the network
        hears them, float32 or already int8.

        Raises:
            BadInput: a shape that the model does not take, or NaN. UsageError: int8 for a float network.
            ResourceExhausted: the runtime died or hung.
        """
        inputs = self.prepared(features)
        if len(inputs) == 0:
            return np.zeros((0, len(self.labels)), np.float32)
        chunks = [self._predict(inputs[at : at + CHUNK_ITEMS]) for at in range(0, len(inputs), CHUNK_ITEMS)]
        return np.concatenate(chunks).astype(np.float32)

    def prepared(self, features: Features) -> Features:
        """`features` as the integers (or floats) that the model computes on, in the logical shape."""
        path = self.artefact.path
        if features.ndim == 3 and isinstance(self.features, Waveform):
            features = features[:, :, None]  # waveforms [B, 1, n_samples], which are features with one row
        if not _fits(features.shape, self.input_shape):
            shapes = [" x ".join(map(str, shape)) for shape in (features.shape[1:], self.input_shape)]
            raise BadInput("features", f"shape {shapes[0]} where the model takes {shapes[1]}", path)
        if features.dtype == np.int8:
            if self.input is None:
                raise UsageError("features", "the model takes float features; it has no scale for int8", path)
            return features
        if self.input is None:
            if np.isnan(features).any():
                raise BadInput("features", "holds NaN", path)
            return np.asarray(features, np.float32)
        from edgeasc.features.quantize import quantize

        return quantize(np.asarray(features, np.float32), self.input.scale, self.input.zero_point)

    def _predict(self, inputs: Features) -> NDArray[np.float32]:
        raise NotImplementedError

    def close(self) -> None:
        """Free what the runner holds; closing twice does nothing."""

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GraphRunner(Runner):
    """The numpy twins of `graph`, in this process: `reference` (integers) and `simulate` (fake-quantised floats)."""

    def __init__(self, artefact: Artefact, runtime: Runtime) -> None:
        from edgeasc.graph.onnx_read import read_onnx

        super().__init__(artefact, runtime)
        try:
            self.graph = read_onnx(artefact.payload)
        except BadInput as error:
            raise BadInput(error.what, error.why, artefact.path) from None
        self._logits = _twin(self.graph, runtime.name)
        source, result = self.graph[self.graph.input], self.graph[self.graph.output]
        self.input_shape = tuple(source.shape[1:])
        self.input = Quantisation(float(source.scale), source.zero_point)
        self.output = Quantisation(float(result.scale), result.zero_point)

    def _predict(self, inputs: Features) -> NDArray[np.float32]:
        return np.asarray(self._logits(inputs.astype(np.int8, copy=False)), np.float32)


class ChildRunner(Runner):
    """A native runtime in a worker process: a new one here, or `child`, wherever that runs."""

    def __init__(
        self,
        artefact: Artefact,
        runtime: Runtime,
        threads: int,
        timeout: float,
        *,
        child: Child | None = None,
        **options: Any,
    ) -> None:
        super().__init__(artefact, runtime)
        self.threads, self.timeout = threads, timeout
        # The address sanitiser of a compiled program reserves terabytes of addresses that it never touches.
        memory = options.pop("memory", NO_LIMIT if runtime.compiled else MEMORY_LIMIT)
        self._child = child or Child(runtime.name, artefact.path, threads=threads, memory=memory)
        try:
            header = {
                "op": "load",
                "runtime": runtime.name,
                "package": runtime.package,
                "threads": threads,
                "options": options,
                "path": str(artefact.path or ""),
            }
            reply, _ = self._child.request(header, artefact.payload, timeout)
            self._describe(reply["info"])
        except BaseException:
            self._child.close()
            raise

    def _describe(self, info: dict[str, Any]) -> None:
        source, result = info["input"], info["output"]
        self.version, self.notes = info["version"] or self.version, info["notes"]
        self._dtype, self._native_shape = source["dtype"], tuple(source["shape"][1:])
        one_row = isinstance(self.features, Waveform)
        self._channels_last = self.artefact.kind == "tflite" and _is_channels_last(self._native_shape, one_row)
        self.input_shape = _logical(self._native_shape, self._channels_last)
        if self.artefact.kind == "run" and self.features is not None:
            self.input_shape = (1, self.features.n_mels, 0)
        if self.artefact.kind in ("tflite", "c"):
            self.input, self._output = _quantisation(source), _quantisation(result, raw=True)
            self.output = _quantisation(result)
        else:
            self._output = None
            if result["dtype"] != "float32" and self.output is not None:
                shift = 128 if result["dtype"] == "uint8" else 0
                self._output = Quantisation(self.output.scale, self.output.zero_point + shift)
        if self._dtype != "float32" and self.input is None:
            raise BadInput(self.runtime, "an integer input without a scale", self.artefact.path)

    def _native(self, inputs: Features) -> Features:
        """Logical integers or floats -> the artefact's own layout and type."""
        array: Any = inputs
        if array.dtype == np.int8 and self._dtype == "float32" and self.input is not None:
            array = (array.astype(np.float32) - np.float32(self.input.zero_point)) * np.float32(self.input.scale)
        elif self._dtype == "uint8":
            array = (array.astype(np.int16) + 128).astype(np.uint8)
        if self._channels_last:
            array = np.moveaxis(array, 1, -1)
        return np.ascontiguousarray(array)

    def _header(self, op: str, array: Features, **more: Any) -> dict[str, Any]:
        return {"op": op, "dtype": array.dtype.name, "shape": array.shape, **more}

    def _predict(self, inputs: Features) -> NDArray[np.float32]:
        native = self._native(inputs)
        reply, payload = self._child.request(self._header("predict", native), native.tobytes(), self.timeout)
        outputs = np.frombuffer(payload, reply["dtype"]).reshape(len(inputs), -1)
        if self._output is None:
            return outputs.astype(np.float32)
        zero, scale = np.float32(self._output.zero_point), np.float32(self._output.scale)
        return (outputs.astype(np.float32) - zero) * scale

    def time(self, features: Features, runs: int) -> NDArray[np.int64]:
        """Nanoseconds of each of `runs` runs on the first item, by the worker's own clock around the runtime alone."""
        native = self._native(self.prepared(features)[:1])
        _, payload = self._child.request(self._header("time", native, runs=runs), native.tobytes(), self.timeout)
        return np.frombuffer(payload, np.int64)

    def probe(self) -> float:
        """GFLOP/s of a float32 matrix product in the worker, right now; what timings are to be seen against."""
        reply, _ = self._child.request({"op": "probe"}, timeout=self.timeout)
        return float(reply["gflops"])

    def close(self) -> None:
        self._child.close()


def load_runner(
    path: str | Path,
    runtime: str | None = None,
    *,
    threads: int = 1,
    timeout: float = 120.0,
    optimisation: str = "all",
) -> Runner:
    """A runner for a `.onnx`, a `.tflite`, a run folder or an exported folder.

    Args:
        runtime: a name of `runtime.catalogue`; by default ONNX Runtime (else the numpy reference) for ONNX, LiteRT
            (else tflite-runtime, else TFLM) for TFLite, torch for a run that is not compressed.
        threads: of the runtime. timeout: seconds for loading, and for every 16 items of a prediction.
        optimisation: graph optimisation of ONNX Runtime: disable, basic, extended or all.

    Raises:
        BadInput: the file is no model, or the runtime refuses it. UsageError: the runtime does not read this kind.
        MissingDependency: no runtime is installed. ResourceExhausted: the runtime died or hung.
    """
    artefact = read_artefact(Path(path))
    if runtime == "torch" and artefact.kind == "onnx" and Path(path).is_dir():
        from edgeasc.runtime.artefact import read_run

        artefact = read_run(Path(path))
    return open_runner(artefact, runtime, threads=threads, timeout=timeout, optimisation=optimisation)


def open_runner(
    artefact: Artefact, runtime: str | None = None, *, threads: int = 1, timeout: float = 120.0, **options: Any
) -> Runner:
    """`load_runner` for bytes in memory; `options` are `optimisation` and `memory` (bytes of address space)."""
    found = default_runtime(artefact.kind) if runtime is None else find_runtime(runtime)
    if artefact.kind not in found.reads:
        able = ", ".join(name for name, other in RUNTIMES.items() if artefact.kind in other.reads)
        raise UsageError("runtime", f"{found.name} does not run {artefact.kind}; {able} can", artefact.path)
    missing = missing_operators(artefact, found.name)
    if missing:
        raise BadInput(found.name, f"has no operator {', '.join(missing)}, which the model needs", artefact.path)
    if found.native:
        return ChildRunner(artefact, found, threads, timeout, **options)
    return GraphRunner(artefact, found)


def missing_operators(artefact: Artefact, runtime: str) -> list[str]:
    """The operators of a TFLite file that `runtime` is known not to have.

    Raises:
        BadInput: a damaged file.
    """
    lacks = set(RUNTIMES[runtime].lacks)
    if artefact.kind != "tflite" or not lacks:
        return []
    from edgeasc.graph.tflite_read import read_tflite

    return sorted(lacks & {operator.op for operator in read_tflite(artefact.payload).operators})


def _twin(graph: IntegerGraph, name: str) -> Callable[[NDArray[np.int8]], NDArray[np.float32]]:
    """The numpy twin `name` of `graph`, with what it computes once already computed."""
    if name == "reference":
        from edgeasc.graph.reference import Reference

        return Reference(graph).logits
    from edgeasc.graph import simulate

    return functools.partial(simulate.logits, graph)


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a batch of `shape` holds items of the `wanted` logical shape, in which 0 is any size and () any shape."""
    if not wanted or len(shape) != len(wanted) + 1:
        return not wanted and len(shape) >= 3
    return all(side in (0, found) for side, found in zip(wanted, shape[1:], strict=True))


def _is_channels_last(shape: tuple[int, ...], one_row: bool) -> bool:
    """Whether a native shape without batch is (n_mels, n_frames, 1) and not (1, n_mels, n_frames); there may be one mel
    where the network hears waveforms."""
    return len(shape) >= 2 and shape[-1] == 1 and (shape[0] != 1 or one_row)


def _logical(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    return (shape[-1], *shape[:-1]) if channels_last else shape


def _quantisation(port: dict[str, Any], raw: bool = False) -> Quantisation | None:
    """Of a port that a runtime described; uint8 in the convention of int8 unless `raw`."""
    if not port["scale"]:
        return None
    shift = 128 if port["dtype"] == "uint8" and not raw else 0
    return Quantisation(float(port["scale"]), int(port["zero_point"]) - shift)
