"""The recipe: everything that decides a run."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from edgeasc.specs.base import Spec
from edgeasc.specs.front_end import AnyFrontEnd, LogMel, Waveform
from edgeasc.specs.sections import (
    AugmentSpec,
    DataSpec,
    DistillSpec,
    ModelSpec,
    PruneSpec,
    QuantizeSpec,
    TrainSpec,
    WaveAugmentSpec,
)


class Recipe(Spec):
    """Everything that decides a run, one TOML section per field."""

    LATER: ClassVar[frozenset[str]] = frozenset({"wave_augment"})

    model: ModelSpec
    features: AnyFrontEnd = LogMel()
    data: DataSpec = DataSpec()
    augment: AugmentSpec = AugmentSpec()
    train: TrainSpec = TrainSpec()
    distill: DistillSpec = DistillSpec()
    prune: PruneSpec = PruneSpec()
    quantize: QuantizeSpec = QuantizeSpec()
    wave_augment: WaveAugmentSpec | None = None  # instead of `augment`, for networks on waveforms

    @model_validator(mode="after")
    def _waves_where_there_are_some(self) -> Recipe:
        if self.wave_augment is not None and getattr(self.features, "kind", None) != "waveform":
            raise ValueError("wave_augment: needs a network on waveforms (features.kind = 'waveform')")
        if self.wave_augment is not None and self.wave_augment.mixes and self.train.loss == "cross-entropy":
            why = "a mixed clip has two labels, which cross-entropy cannot learn"
            raise ValueError(f"wave_augment.mixes: {why}; set train.loss = 'bce-when-mixed', or no mixes")
        return self

    @model_validator(mode="after")
    def _waves_are_left(self) -> Recipe:
        for key in ("shift_seconds", "mask_seconds", "segment_seconds") if self.wave_augment is not None else ():
            if (seconds := getattr(self.wave_augment, key)) >= self.data.clip_seconds:
                clip = f"data.clip_seconds = {self.data.clip_seconds:g}"
                raise ValueError(f"wave_augment.{key} = {seconds:g} reaches over the whole clip, {clip}; take less")
        return self

    @model_validator(mode="after")
    def _length_is_the_networks(self) -> Recipe:
        samples = self.model.options.get("samples", self.n_samples)
        if isinstance(self.features, Waveform) and samples != self.n_samples:
            here = f"data.clip_seconds = {self.data.clip_seconds:g} at {self.features.sample_rate} Hz"
            raise ValueError(
                f"{here} makes inputs of {self.n_samples} samples, model.options.samples says {samples}; set both alike"
            )
        return self

    @property
    def idle(self) -> tuple[str, ...]:
        """Keys of `[augment]` that were set and do nothing, since `[wave_augment]` stands in its place."""
        if self.wave_augment is None:
            return ()
        usual = AugmentSpec()
        keys = (key for key in AugmentSpec.model_fields if getattr(self.augment, key) != getattr(usual, key))
        return tuple(f"augment.{key}" for key in keys)

    @property
    def n_samples(self) -> int:
        """Samples of one network input."""
        return round(self.data.clip_seconds * self.features.sample_rate)

    @property
    def sigmoids(self) -> bool:
        """Whether the network learns one sigmoid per class, so that sigmoids rank the clips of a class."""
        if self.wave_augment is not None:
            mixed = bool(self.wave_augment.mixes) and self.wave_augment.mix_probability > 0
        else:
            mixed = self.augment.mixup_alpha > 0
        return self.train.loss == "bce" or (self.train.loss == "bce-when-mixed" and mixed)

    @property
    def n_frames(self) -> int:
        """Frames of one network input."""
        return self.features.n_frames(self.n_samples)
