"""The sections of a recipe other than its front end."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from edgeasc.specs.base import Spec

Noise = Literal["white", "blue", "pink", "red", "violet", "uniform", "phase", "sine"]
Mix = Literal["mixup", "timemix", "freqmix", "phasemix"]


class ModelSpec(Spec):
    """Which network: a name from `edgeasc models` and its options."""

    name: str
    options: dict[str, bool | int | float | str] = {}


class DataSpec(Spec):
    """What the network hears."""

    clip_seconds: float = Field(1.0, gt=0.0)  # length of one network input
    validation: float = Field(0.1, ge=0.0, lt=0.9)  # part of the training recordings held out for selection
    crop: Literal["random", "whole"] = (
        "whole"  # training input: a random crop of clip_seconds, or the clip cut or padded to it
    )
    test_crops: int = Field(1, ge=1)  # evenly spaced crops averaged in evaluation; 1 = the whole clip


class AugmentSpec(Spec):
    """Label-preserving and mixing augmentation on features (QTI DCASE 2021, section 3.1)."""

    LATER: ClassVar[frozenset[str]] = frozenset({"place", "mixup_of", "masks_per"})

    roll_seconds: float = Field(1.5, ge=0.0)  # circular shift, uniform in +- this
    mixup_alpha: float = Field(0.3, ge=0.0)  # Beta(alpha, alpha); 0 switches Mixup off
    freq_masks: int = Field(2, ge=0)
    freq_mask_width: int = Field(40, ge=0)  # mel bins, integer uniform in 0..width
    time_masks: int = Field(2, ge=0)
    time_mask_width: int = Field(80, ge=0)  # frames, integer uniform in 0..width
    gain_db: float = Field(0.0, ge=0.0)  # level change of the whole clip, uniform in +- this
    # norm: masks, set to 0, and then Mixup, both behind the network's own norm over the mels
    place: Literal["input", "norm"] = "input"
    # batch: every clip with another of its batch; pairs: neighbours of a batch drawn twice as large
    mixup_of: Literal["batch", "pairs"] = "batch"
    masks_per: Literal["clip", "batch"] = "clip"  # batch: the same stripes for all its clips

    @property
    def draws(self) -> int:
        """Clips drawn for every input that the network learns from."""
        return 2 if self.mixup_of == "pairs" and self.mixup_alpha > 0 else 1


class WaveAugmentSpec(Spec):
    """Augmentation of waveforms as EAT trains (arXiv 2204.11479); a section of it takes the place of `[augment]`.

    Operations on one clip come each with `probability`, in an order drawn for every clip; 0 switches one off.
    """

    probability: float = Field(0.5, ge=0.0, le=1.0)
    gain: tuple[PositiveFloat, PositiveFloat] = (0.5, 1.3)  # factor of the clip, and of a segment; equal ends: off
    flip_sign: bool = True
    shift_seconds: float = Field(0.1, ge=0.0)  # later or earlier, silence for what is missing, and part of a sample
    mask_seconds: float = Field(0.1, ge=0.0)  # one piece becomes noise at -120 dB
    segment_seconds: float = Field(0.1, ge=0.0)  # one piece louder or softer
    rotate: bool = True  # circular shift by any time
    noise: tuple[Noise, ...] = ("white", "blue", "pink", "red", "violet", "uniform", "phase", "sine")  # one of them
    snr_db: float = Field(30.0, ge=0.0)
    resample: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...] = (0.8, 0.9, 1.1, 1.2)  # one for the whole batch
    resample_probability: float = Field(0.5, ge=0.0, le=1.0)
    mixes: tuple[Mix, ...] = ("mixup", "timemix", "freqmix", "phasemix")  # one for the whole batch
    mix_probability: float = Field(1.0, ge=0.0, le=1.0)
    mix_after: int = Field(12, ge=0)  # epochs at the beginning without mixing

    @model_validator(mode="after")
    def _ordered(self) -> WaveAugmentSpec:
        if self.gain[0] > self.gain[1]:
            raise ValueError(f"gain runs from {self.gain[0]:g} to {self.gain[1]:g}")
        return self


class TrainSpec(Spec):
    """Training: optimiser, schedule per step, loss, and what is judged.

    The defaults are linear warm-up, then cosine to zero, with SGD as in QTI DCASE 2021, section 3.1.
    """

    LATER: ClassVar[frozenset[str]] = frozenset(
        {"amsgrad", "beta2", "weight_decay_on", "schedule", "pct_start", "cycle_momentum"}
        | {"loss", "loss_over", "smoothing", "iterations", "evaluate_every", "sampler", "select"}
        | {"ema", "ema_decay", "ema_start"}
    )

    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"

    epochs: int = Field(100, ge=1)
    warmup_epochs: float = Field(5.0, ge=0.0)  # onecycle has its own
    batch_size: int = Field(64, ge=1)
    lr: float = Field(0.06, gt=0.0)  # the highest of the schedule
    momentum: float = Field(0.9, ge=0.0, lt=1.0)  # beta1 of Adam
    weight_decay: float = Field(1e-3, ge=0.0)
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    precision: Literal["32", "bf16"] = "32"
    reestimate: bool = False  # batch-norm statistics anew, on training clips without augmentation, before judging
    seed: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)  # 0: all cores; the number used is recorded
    iterations: int = Field(0, ge=0)  # steps to train for; 0: `epochs` decides
    evaluate_every: int = Field(200, ge=1)  # iterations after which validation clips are judged; else every epoch
    sampler: Literal["shuffle", "balanced"] = "shuffle"  # balanced: all classes equally often
    # what makes an epoch the best one on validation clips; macro accuracy is the unweighted average recall
    select: Literal["macro-accuracy", "mean-average-precision"] = "macro-accuracy"
    # a moving average of the weights takes their place wherever they are judged and kept. ramp: of parameters, updated
    # from `ema_start` on with a decay that rises to `ema_decay`; ramp-into-training: and training goes on from it, as a
    # published slip had it; per-epoch: of everything, `ema_decay` being that of one epoch
    ema: Literal["none", "ramp", "ramp-into-training", "per-epoch"] = "none"
    ema_decay: float = Field(0.995, gt=0.0, lt=1.0)
    ema_start: int = Field(15_000, ge=0)  # ramp: iterations before the first update
    beta2: float = Field(0.999, ge=0.0, lt=1.0)  # of Adam
    amsgrad: bool = False  # Adam with the largest second moment so far
    weight_decay_on: Literal["all", "matrices"] = "all"  # matrices: only tensors with more than one dimension
    schedule: Literal["cosine", "onecycle", "constant"] = "cosine"
    pct_start: float = Field(0.3, gt=0.0, lt=1.0)  # onecycle: the part of the steps in which the rate rises
    cycle_momentum: bool = False  # onecycle: momentum falls from 0.95 to 0.85 while the rate rises, and returns
    # bce: one sigmoid per class; bce-when-mixed: cross-entropy for batches without Mixup
    loss: Literal["cross-entropy", "bce", "bce-when-mixed"] = "cross-entropy"
    loss_over: Literal["mean", "sum"] = "mean"  # of the batch; of bce, also of its classes
    smoothing: Literal["uniform", "others"] = "uniform"  # label_smoothing goes to all classes, or to the wrong ones

    @property
    def length(self) -> str:
        """How long it takes: `60,000 iterations`, or `100 epochs`."""
        return f"{self.iterations:,} iterations" if self.iterations else f"{self.epochs:,} epochs"


class DistillSpec(Spec):
    """`CE + weight * T^2 * KL(teacher || student)`, used only when a teacher is given."""

    temperature: float = Field(3.0, gt=0.0)
    weight: float = Field(1.0, ge=0.0)


class PruneSpec(Spec):
    """Magnitude pruning of all convolutions, with live batch norm."""

    scope: Literal["global", "layer"] = "global"
    schedule: Literal["gradual", "one-shot"] = "gradual"
    epochs: int = Field(30, ge=0)  # gradual: the sparsity grows over the first 60 % of them, then masks hold
    lr: float = Field(0.02, gt=0.0)


class QuantizeSpec(Spec):
    """Quantisation-aware training; the last `exact_epochs` use the integer-exact forward."""

    form: Literal["int8", "island"] = "int8"
    epochs: int = Field(10, ge=1)
    exact_epochs: int = Field(2, ge=0)
    lr: float = Field(5e-4, gt=0.0)  # small: without batch norm, folded gains make steep layers
    clip_norm: float = Field(20.0, ge=0.0)  # longest gradient, 0: any; healthy ones measured 3 to 14 at c = 10, 40, 80
