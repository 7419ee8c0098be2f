"""What a network hears: a log-mel spectrogram, or the waveform itself."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from edgeasc.specs.base import Spec


class LogMel(Spec):
    """A log-mel front end, framed as librosa does with `center=True` and zero padding.

    Periodic Hann window of `win_length` centred in `n_fft`, power spectrum, Slaney-normalised
    mel filters, `ln(S + log_floor)`. Defaults: QTI DCASE 2021, section 3.1, as read in the project's notes.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"arithmetic"})

    sample_rate: int = Field(16_000, ge=1_000, le=192_000)  # Hz
    n_fft: int = Field(4096, ge=16, le=65_536, multiple_of=2)  # samples; even, so that a frame has a centre
    win_length: int = Field(2080, ge=16)  # samples, 130 ms
    hop_length: int = Field(480, ge=1)  # samples, 30 ms
    n_mels: int = Field(256, ge=1, le=1024)
    f_min: float = Field(0.0, ge=0.0)  # Hz
    f_max: float = 8000.0  # Hz
    mel_scale: Literal["slaney", "htk"] = "slaney"
    log_floor: float = Field(1e-6, gt=0.0)  # added to the mel power before the logarithm
    # integer: the numbers of the C front end, for networks that will hear through it
    arithmetic: Literal["float", "integer"] = "float"

    @model_validator(mode="after")
    def _consistent(self) -> LogMel:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is longer than n_fft {self.n_fft}")
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"need f_min < f_max <= sample_rate / 2, found {self.f_min}, {self.f_max}")
        return self

    def n_frames(self, n_samples: int) -> int:
        """Frames of a centred transform of `n_samples` samples."""
        return 1 + n_samples // self.hop_length

    def with_arithmetic(self, arithmetic: Literal["float", "integer"]) -> LogMel:
        """The same front end, computed otherwise."""
        return self.model_copy(update={"arithmetic": arithmetic})

    def seconds(self, n_frames: int) -> float:
        """The shortest sound of `n_frames` frames, at least one hop."""
        return max(n_frames - 1, 1) * self.hop_length / self.sample_rate

    @property
    def silence(self) -> float:
        """The log-mel value of digital silence, in log units."""
        return math.log(self.log_floor)


class Waveform(Spec):
    """The front end of networks that hear samples: features with one row, a frame for every sample.

    Every stored clip is scaled to one peak, `peak * x / max|x|`; a silent one stays silent. Source: EAT (arXiv
    2204.11479), whose peak is 0.95.
    """

    kind: Literal["waveform"]
    sample_rate: int = Field(22_050, ge=1_000, le=192_000)  # Hz
    peak: float = Field(0.95, ge=0.0, le=1.0)  # 0: samples as they were recorded

    def n_frames(self, n_samples: int) -> int:
        """As many as samples."""
        return n_samples

    def seconds(self, n_frames: int) -> float:
        """The length of `n_frames` samples."""
        return n_frames / self.sample_rate

    def with_arithmetic(self, arithmetic: Literal["float", "integer"]) -> Waveform:
        """Itself: samples are not computed."""
        return self

    @property
    def arithmetic(self) -> Literal["float", "integer"]:
        """Floats, which the network's input quantises."""
        return "float"

    @property
    def n_mels(self) -> int:
        """One row."""
        return 1

    @property
    def hop_length(self) -> int:
        """One sample."""
        return 1

    @property
    def silence(self) -> float:
        """Digital silence."""
        return 0.0


FRONT_ENDS: dict[str, type[LogMel] | type[Waveform]] = {"log-mel": LogMel, "waveform": Waveform}


def front_end_kind(value: Any) -> str:
    """Which of `FRONT_ENDS` a document or a specification is: only a waveform has a `kind`."""
    named = "kind" in value if isinstance(value, dict) else isinstance(value, Waveform)
    return "waveform" if named else "log-mel"


FrontEndSpec = LogMel | Waveform
AnyFrontEnd = Annotated[
    Annotated[LogMel, Tag("log-mel")] | Annotated[Waveform, Tag("waveform")], Discriminator(front_end_kind)
]  # as a field of a specification
