"""A compressed run back as the network that was trained on the grid, and such a network as a predictor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeasc.compress.quantnet import Mode, QuantNet, running
from edgeasc.errors import BadInput
from edgeasc.nn.registry import create_model
from edgeasc.runs import Run
from edgeasc.train.predict import Predict, network_predict
from edgeasc.train.weights import load_weights, read_tensors


def load_quantized(path: Path) -> QuantNet:
    """The fake-quantised network of a complete compressed run, in `exact` mode.

    Raises:
        BadInput: no such run, or one whose files are missing or corrupt.
    """
    run = Run(path)
    info, recipe = run.info(), run.recipe()
    if info.kind != "compress" or info.state != "complete":
        raise BadInput("run", f"not a complete compressed run ({info.kind}, {info.state})", path)
    network = create_model(recipe.model.name, len(info.labels), **recipe.model.options).eval()
    net = QuantNet(network, recipe.quantize.form, (1, 1, recipe.features.n_mels, recipe.n_frames))
    load_weights(net, read_tensors(run.last)[0], run.last)
    net.mode = "exact"
    return net.eval()


def net_predict(net: QuantNet, mode: Mode) -> Predict:
    """`net` in one of its modes as a function of arrays."""
    predict = network_predict(net)

    def in_mode(features: NDArray[np.float32]) -> NDArray[np.float32]:
        with running(net, mode):
            return predict(features)

    return in_mode
