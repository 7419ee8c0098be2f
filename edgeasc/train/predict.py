"""Logits of any predictor for stored clips: whole or averaged over crops, in evaluation mode and 32-bit floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeasc.data.inputs import crop_starts, cut
from edgeasc.train.metrics import log_softmax

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # [B, 1, n_mels, n_frames] -> logits [B, n_classes]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode without gradients; every module's mode is put back."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield network
    finally:
        for module, training in modes.items():
            module.training = training


def network_predict(network: nn.Module) -> Predict:
    """`network` as a function of arrays, wherever its parameters are; waveforms may be `[B, 1, n_samples]`."""

    def predict(features: NDArray[np.float32]) -> NDArray[np.float32]:
        features = features[:, :, None] if features.ndim == 3 else features
        with evaluating(network):
            logits: Tensor = network(torch.from_numpy(features).to(device_of(network)))
        return logits.float().cpu().numpy()

    return predict


def device_of(network: nn.Module) -> torch.device:
    """Where the network's parameters are; the CPU for a network without any."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def crop_logits(
    predict: Predict,
    features: NDArray[np.float32],
    *,
    n_frames: int,
    crops: int,
    silence: float,
    batch_size: int = 64,
    lengths: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Logits `[crops, n, n_classes]` of stored clips `[n, 1, n_mels, any]`.

    One crop: the clip cut or padded to `n_frames`. More: crops evenly spaced over each clip's own length (`lengths`
    [n] frames; None: all as stored).
    """
    starts = crop_starts(lengths, len(features), features.shape[3], n_frames, crops)
    parts = []
    for start in range(0, len(features), batch_size):
        batch, places = features[start : start + batch_size], starts[start : start + batch_size]
        inputs = [cut(batch, places[:, crop], n_frames, silence) for crop in range(crops)]
        parts.append(np.stack([predict(np.ascontiguousarray(crop)) for crop in inputs]))
    return np.concatenate(parts, 1)


def mean_log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """`[n, n_classes]` logarithms of the mean over the crops of the class probabilities."""
    result: NDArray[np.float64] = np.logaddexp.reduce(log_softmax(logits)) - np.log(len(logits))
    return result


def class_probabilities(logits: NDArray[np.float32], sigmoid: bool) -> NDArray[np.float64]:
    """`[n, n_classes]` means over the crops of softmax, or of one sigmoid per class as binary cross-entropy trains."""
    if not sigmoid:
        return np.exp(mean_log_softmax(logits))
    result: NDArray[np.float64] = np.exp(-np.logaddexp(0, -logits.astype(np.float64))).mean(0)
    return result


def log_probabilities(
    predict: Predict,
    features: NDArray[np.float32],
    *,
    n_frames: int,
    crops: int,
    silence: float,
    batch_size: int = 64,
    lengths: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """`[n, n_classes]` log probabilities of stored clips `[n, 1, n_mels, any]`, averaged over `crop_logits`."""
    return mean_log_softmax(
        crop_logits(
            predict,
            features,
            n_frames=n_frames,
            crops=crops,
            silence=silence,
            batch_size=batch_size,
            lengths=lengths,
        )
    )
