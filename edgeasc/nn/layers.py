"""The arithmetic that `torch.nn` has no module for, one leaf module per operation, and a tracer that keeps them whole.

Shapes are `[B, C, F, T]`: batch, channels, frequency, time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from edgeasc.errors import UsageError
from edgeasc.nn.sequence import SEQUENCE_LEAVES


class Add(nn.Module):
    """The sum of two tensors, broadcast over axes of size 1."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


class FrequencyMean(nn.Module):
    """Mean over frequency: `[B, C, F, T] -> [B, C, 1, T]` (`[B, C, T]` without `keepdim`)."""

    def __init__(self, keepdim: bool = True) -> None:
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"keepdim={self.keepdim}"


class TimeMean(nn.Module):
    """Mean over time: `[B, C, F, T] -> [B, C, F, 1]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(3, keepdim=True)


class TimeMax(nn.Module):
    """Maximum over time: `[B, C, F, T] -> [B, C, F, 1]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(3, keepdim=True)


class GlobalMean(nn.Module):
    """Mean over frequency and time: `[B, C, F, T] -> [B, C]` (`[B, C, 1, 1]` with `keepdim`)."""

    def __init__(self, keepdim: bool = False) -> None:
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"keepdim={self.keepdim}"


class ResNorm(nn.Module):
    """Residual normalisation `lam * x + (x - mean) / sqrt(var + eps)`, without parameters.

    Mean and biased variance over channels and time, for every clip and frequency; `lam` 0 is FreqIN.
    Source: QTI DCASE 2021 report (arXiv 2206.13909), section 2.2, equations 1 to 3.
    """

    def __init__(self, lam: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.lam, self.eps = lam, eps

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=(1, 3), correction=0, keepdim=True)
        # The difference first: a bin that never changes must give exactly lam * x, however large 1 / sqrt(eps) is.
        return torch.add((x - mean) * torch.rsqrt(var + self.eps), x, alpha=self.lam)

    def extra_repr(self) -> str:
        return f"lam={self.lam}, eps={self.eps}"


class GlobalFreqNorm(nn.Module):
    """Every frequency minus its mean over the training set, divided by its standard deviation there.

    The statistics are buffers `[1, 1, F, 1]`, the identity until `set_statistics`.
    Source: QTI DCASE 2021 report (arXiv 2206.13909), section 3.1, baseline 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(1, 1, 1, 1))
        self.register_buffer("deviation", torch.ones(1, 1, 1, 1))

    @torch.no_grad()
    def set_statistics(self, features: Tensor) -> None:
        """Take mean and deviation per frequency from training features `[N, 1, F, T]`."""
        var, mean = torch.var_mean(features.double(), dim=(0, 1, 3), correction=0)
        self.mean = mean.float().view(1, 1, -1, 1).to(self.mean.device)
        self.deviation = torch.sqrt(var + self.eps).float().view(1, 1, -1, 1).to(self.deviation.device)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        # The number of frequencies is known only with the data: take the stored shape.
        for name in ("mean", "deviation"):
            stored = state_dict.get(prefix + name)
            if stored is not None and stored.ndim == 4 and stored.numel() == stored.shape[2]:
                setattr(self, name, torch.empty_like(stored, device=self.mean.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"


class SubSpectralNorm(nn.BatchNorm2d):
    """Batch norm with its own statistics and affine pair for each of `bands` equal parts of the frequency axis.

    Parameter index `channel * bands + band`; `2 * channels * bands` parameters.
    Source: Chang et al., "Subspectral normalization", ICASSP 2021; used with 4 bands in QTI DCASE 2021, section 3.1.

    Raises:
        UsageError: in `forward`, when the frequencies do not divide by `bands`.
    """

    def __init__(self, channels: int, bands: int = 4) -> None:
        super().__init__(channels * bands)
        self.channels, self.bands = channels, bands

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, frequencies, frames = x.shape
        if frequencies % self.bands:
            why = f"{frequencies} frequencies at a sub-spectral norm do not divide by its {self.bands} bands"
            raise UsageError("network", f"{why}; change n_mels")
        split = x.reshape(batch, channels * self.bands, frequencies // self.bands, frames)
        return super().forward(split).view(batch, channels, frequencies, frames)

    def extra_repr(self) -> str:
        return f"channels={self.channels}, bands={self.bands}, eps={self.eps}, momentum={self.momentum}"


class MelNorm(SubSpectralNorm):
    """Batch norm of features `[B, 1, n_mels, T]` with statistics and affine pair of every mel; `2 * n_mels` parameters.

    Raises:
        UsageError: in `forward`, for another number of mels.
    """

    def __init__(self, n_mels: int) -> None:
        super().__init__(1, n_mels)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] != self.bands:
            why = f"{x.shape[2]} mels at a norm over {self.bands}"
            raise UsageError("network", f"{why}; set features.n_mels or model.options.n_mels")
        return super().forward(x)


LEAVES = (Add, FrequencyMean, TimeMean, TimeMax, GlobalMean, ResNorm, GlobalFreqNorm, SubSpectralNorm, *SEQUENCE_LEAVES)


class LeafTracer(fx.Tracer):
    """Traces a network down to the modules of `torch.nn` and of this file, and no further."""

    def __init__(self, leaves: tuple[type[nn.Module], ...] = ()) -> None:
        super().__init__()
        self.leaves = LEAVES + leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.leaves) or super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module, leaves: tuple[type[nn.Module], ...] = ()) -> fx.GraphModule:
    """The graph of `network` with module paths as targets; its parameters are shared, not copied.

    Args:
        leaves: further module types to keep whole, such as fake-quantised layers.
    """
    return fx.GraphModule(network, LeafTracer(leaves).trace(network), type(network).__name__)


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters, running statistics not counted."""
    return sum(parameter.numel() for parameter in network.parameters())
