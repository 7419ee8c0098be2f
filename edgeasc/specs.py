"""Frozen specifications: the front end and the recipe, as numbers that every room reads.

Read from TOML, validated once, hashed by content. Nothing heavy is imported here.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from edgeasc.errors import BadInput, UsageError

S = TypeVar("S", bound="Spec")
Noise = Literal["white", "blue", "pink", "red", "violet", "uniform", "phase", "sine"]
Mix = Literal["mixup", "timemix", "freqmix", "phasemix"]


class Spec(BaseModel):
    """Base of all specifications: frozen, unknown keys refused.

    Fields named in `LATER` came after runs and artefacts had been written: at their default they are left out of the
    written form, so that what was written before reads, and hashes, as it did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built when first used: imports are quick
    LATER: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_defaults_of_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        for name in self.LATER:
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                document.pop(name, None)
        return document

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON form."""
        return document_digest(self.model_dump(mode="json"))


def document_digest(document: dict[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `document` as canonical JSON."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


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


def _front_end_kind(value: Any) -> str:
    """Which of `FRONT_ENDS` a document or a specification is: only a waveform has a `kind`."""
    named = "kind" in value if isinstance(value, dict) else isinstance(value, Waveform)
    return "waveform" if named else "log-mel"


FrontEndSpec = LogMel | Waveform
AnyFrontEnd = Annotated[
    Annotated[LogMel, Tag("log-mel")] | Annotated[Waveform, Tag("waveform")], Discriminator(_front_end_kind)
]  # as a field of a specification


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
    def _length_is_the_networks(self) -> Recipe:
        samples = self.model.options.get("samples", self.n_samples)
        if isinstance(self.features, Waveform) and samples != self.n_samples:
            here = f"data.clip_seconds = {self.data.clip_seconds:g} at {self.features.sample_rate} Hz"
            raise ValueError(
                f"{here} makes inputs of {self.n_samples} samples, model.options.samples says {samples}; set both alike"
            )
        return self

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


def nearest(word: str, known: list[str]) -> str:
    """The hint `; did you mean 'x'?` for the closest known word (of equals, the one that ends alike), or nothing."""
    close = difflib.get_close_matches(word, known, n=max(1, len(known)), cutoff=0.5)
    if not close:
        return ""

    def likeness(candidate: str) -> tuple[float, int]:
        alike = (a == b for a, b in zip(reversed(word), reversed(candidate), strict=False))
        ratio = difflib.SequenceMatcher(None, candidate, word).ratio()
        return round(ratio, 6), sum(1 for _ in takewhile(bool, alike))

    return f"; did you mean {max(close, key=likeness)!r}?"


def parse_spec(kind: type[S], document: dict[str, Any], path: Path | None = None, what: str = "recipe") -> S:
    """Validate `document` as `kind`.

    Raises:
        UsageError: the first problem found, with its dotted key and, for an unknown key, the nearest known one.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        found = error.errors()  # a misspelt key is the cause of a missing one, and so is told first
        first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
        place = [str(part) for part in first["loc"]]
        key = ".".join(part for part in place if part not in FRONT_ENDS)
        said = first["msg"].removeprefix("Value error, ")
        why = f"{key}: {said}" if key else said
        if first["type"] == "extra_forbidden":
            *section, word = place
            why = f"unknown key {key!r}{nearest(word, _keys(kind, section))}"
        raise UsageError(what, why, path) from None


def parse_front_end(document: dict[str, Any], path: Path | None = None, what: str = "front end") -> FrontEndSpec:
    """Validate `document` as the front end that it is.

    Raises:
        UsageError: as `parse_spec`.
    """
    kind: type[FrontEndSpec] = FRONT_ENDS[_front_end_kind(document)]
    return parse_spec(kind, document, path, what)


def _keys(kind: type[Spec], section: list[str]) -> list[str]:
    """Names allowed in the (nested) section of `kind`; items of lists are sections by their number."""
    fields = kind.model_fields
    for part in section:
        if part.isdecimal():
            continue
        if part in FRONT_ENDS:
            fields = FRONT_ENDS[part].model_fields
            continue
        inner = _section_kind(fields[part].annotation) if part in fields else None
        if inner is None:
            return []
        fields = inner.model_fields
    return list(fields)


def _section_kind(annotation: Any) -> type[BaseModel] | None:
    """The specification in `annotation`, which may be optional or a list of them."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((kind for kind in map(_section_kind, get_args(annotation)) if kind is not None), None)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The TOML document in `path`.

    Raises:
        BadInput: unreadable. UsageError: not TOML.
    """
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise BadInput(what, error.strerror or str(error), path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(what, f"not TOML ({error})", path) from error


def with_settings(document: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """`document` with each `a.b=value` of `settings` put in; values are TOML, or else plain strings.

    Raises:
        UsageError: a setting without `=` or a key below something that is no section.
    """
    result = json.loads(json.dumps(document))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError("--set", f"{setting!r} is not of the form section.key=value")
        try:
            value: Any = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        *sections, last = key.strip().split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UsageError("--set", f"{key!r}: {section!r} is not a section")
        place[last] = value
    return result


def dump_toml(recipe: Spec) -> str:
    """`recipe` as TOML text that `read_toml` and `parse_spec` read back unchanged."""
    lines: list[str] = []
    for section, content in recipe.model_dump(mode="json").items():
        lines.append(f"[{section}]")
        nested = {key: value for key, value in content.items() if isinstance(value, dict)}
        lines += [f"{key} = {json.dumps(value)}" for key, value in content.items() if key not in nested]
        for key, table in nested.items():
            lines.append(f"[{section}.{key}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        lines.append("")
    return "\n".join(lines)


__all__ = [
    "AugmentSpec",
    "DataSpec",
    "DistillSpec",
    "FrontEndSpec",
    "LogMel",
    "ModelSpec",
    "PruneSpec",
    "QuantizeSpec",
    "Recipe",
    "Spec",
    "TrainSpec",
    "WaveAugmentSpec",
    "Waveform",
    "dump_toml",
    "nearest",
    "parse_front_end",
    "parse_spec",
    "read_toml",
    "with_settings",
]
