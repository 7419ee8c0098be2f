"""Parity inputs from recordings, for a quantised ONNX that brings none of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.export.parity import ParityInputs
from edgeasc.graph.model import IntegerGraph
from edgeasc.runtime.artefact import Artefact
from edgeasc.runtime.predict import even_crops


def recorded_inputs(graph: IntegerGraph, data: Path, clips: int) -> ParityInputs:
    """`clips` int8 inputs from the recordings in `data`, spread over them; several crops of each where they are few.

    Raises:
        BadInput: the network names no front end, or the recordings cannot be read.
    """
    from edgeasc.data.layouts import open_dataset
    from edgeasc.features.logmel import log_mel
    from edgeasc.features.quantize import quantize

    source = graph[graph.input]
    spec = Artefact("onnx", b"", metadata=graph.metadata).features
    if spec is None:
        raise BadInput("ONNX", "says nothing about its front end (metadata edgeasc.features); leave --data out")
    if spec.n_mels != source.shape[2]:
        raise BadInput("ONNX", f"takes {source.shape[2]} mels, its front end makes {spec.n_mels}")
    dataset = open_dataset(data)
    chosen = np.unique(np.linspace(0, len(dataset.clips) - 1, clips).round().astype(int))
    crops = -(-clips // len(chosen))
    inputs = []
    for index in chosen:
        features = log_mel(dataset.waveform(dataset.clips[index], spec.sample_rate), spec)
        windows = even_crops(features, source.shape[3], crops, spec.silence)
        inputs.append(quantize(windows, float(source.scale), source.zero_point))
    return ParityInputs(np.concatenate(inputs)[:clips], "clips")
