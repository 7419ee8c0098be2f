"""The torch twin of `features.logmel`, for networks that hear waveforms and for training on augmented audio.

Same window, same mel filters, same framing. It works in float64 inside: in float32 the rounding noise of a tonal
frame reaches 1e-3 log units in its quiet bands (`logmel` tells why), and twins must agree.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeasc.errors import UsageError
from edgeasc.features.filterbank import hann_window, mel_matrix
from edgeasc.specs import LogMel


class LogMelLayer(nn.Module):
    """Waveforms to log-mel spectrograms, without parameters.

    Shape: [B, n_samples] -> [B, 1, n_mels, n_frames], with n_frames = 1 + n_samples // hop_length.
    """

    def __init__(self, spec: LogMel) -> None:
        super().__init__()
        if spec.arithmetic != "float":
            raise UsageError(
                "front end", "the torch twin is a float one; a network that hears waveforms has no integer one"
            )
        self.spec = spec
        # Recomputed from the spec, so not part of a checkpoint.
        self.register_buffer("window", torch.from_numpy(hann_window(spec)), persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_matrix(spec)).double(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Log-mel spectrograms of `waveform` [B, n_samples] at `spec.sample_rate`, in log units."""
        spec = self.spec
        spectrum = torch.stft(
            waveform.double(),
            n_fft=spec.n_fft,
            hop_length=spec.hop_length,
            win_length=spec.win_length,
            window=self.get_buffer("window"),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )  # [B, n_bins, n_frames]
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(self.get_buffer("mel") @ power + spec.log_floor).unsqueeze(1).to(waveform.dtype)
