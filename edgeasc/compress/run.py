"""From a trained run and a budget to a compressed run: model.onnx, inventory, parity inputs, and accuracy by stage.

Everything that can be refused is refused before training: an impossible budget, a limit that sparsity cannot change, a
layer without a quantised form.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import edgeasc
from edgeasc.compress.engine import Engine, find_engine
from edgeasc.compress.inventory import costs_of, inventory
from edgeasc.compress.parity_set import parity_tensors
from edgeasc.compress.quantized import net_predict
from edgeasc.compress.quantnet import QuantNet
from edgeasc.compress.solve import Plan, solve_budget
from edgeasc.data.calibration import (
    CalibrationSet,
    calibration_clips,
    calibration_path,
    read_calibration,
    select_calibration,
    write_calibration,
)
from edgeasc.data.clips import Clip, Dataset, relabelled
from edgeasc.errors import BadInput, CheckFailed, EdgeascError, UsageError
from edgeasc.export.ladder import CLIPS, parity_clips
from edgeasc.files import sha256, write_bytes, write_json
from edgeasc.graph.count import count
from edgeasc.graph.model import Form, IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runs import Run, RunInfo, installed_versions
from edgeasc.sizes import format_size
from edgeasc.specs import Recipe
from edgeasc.train.batches import ClipArrays
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.evaluate import evaluate_predict
from edgeasc.train.predict import Predict, network_predict
from edgeasc.train.progress import Progress
from edgeasc.train.run import clip_arrays, cpu_threads, load_network, load_teacher
from edgeasc.train.weights import load_weights, read_tensors, write_tensors

LIMITS = ("file", "macs", "flash")  # known before training, flash by what is pruned
SPARE_CLIPS = 40  # of parity, above the least
CALIBRATION_CLIPS = 240
SCENES = "built-in scenes"


@dataclass(frozen=True)
class Request:
    """What the user asks of a compression.

    Attributes:
        budget: bytes under `rule`; or `sparsity`, the part of the convolution weights to remove.
        recipe: the parent's, with changed [prune], [quantize], [distill], [augment] or [train]; None: the parent's.
        teacher: a run whose logits are distilled; None: the uncompressed network itself.
        calibration: file of the set that int8 ranges come from; None: the shipped set of the built-in scenes, or
            CALIBRATION_CLIPS training clips balanced over class and device.
        limits: further limits by name (`LIMITS`), checked before training.
    """

    budget: int | None = None
    sparsity: float | None = None
    rule: str = "deployed"
    form: Form | None = None
    recipe: Recipe | None = None
    teacher: Path | None = None
    engine: str = "native"
    calibration: Path | None = None
    limits: tuple[tuple[str, int], ...] = ()
    resume: bool = False

    def to_json(self) -> dict[str, Any]:
        """What a resumed compression has to ask again, besides its recipe."""
        named = {key: getattr(self, key) for key in ("budget", "sparsity", "rule", "engine")}
        paths = {key: getattr(self, key) for key in ("teacher", "calibration")}
        return named | {key: path and str(path) for key, path in paths.items()} | {"limits": dict(self.limits)}


@dataclass(frozen=True)
class Stage:
    """Accuracy after one stage, as an evaluation document."""

    name: str
    evaluation: dict[str, Any]


@dataclass(frozen=True)
class Compressed:
    """A finished compression."""

    run: Run
    plan: Plan
    stages: tuple[Stage, ...]
    graph: IntegerGraph


def compress_run(
    parent: Path,
    dataset: Dataset,
    out: Path,
    request: Request,
    *,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Compressed:
    """Compress the trained run `parent` into the run folder `out`.

    Raises:
        CheckFailed: the budget or a limit cannot be met. UsageError: a request that contradicts itself.
        BadInput: `parent` is no trained run, or the data set is not the one it was trained on.
        KeyboardInterrupt: after the state `interrupted` is written.
    """
    network, recipe, labels = load_network(parent)
    recipe = _resolved(recipe, request)
    job = _Job(Run(parent), Run(out), network, recipe, labels, request, progress or Progress(), cache)
    plan = job.plan()
    job.progress.note(plan.sentence())
    parts = run_clips(Run(parent), dataset, labels)
    dataset = relabelled(dataset, labels)
    chosen = job.choose_calibration(dataset, parts)
    with job.run.locked():
        job.open(parent)
        try:
            with cpu_threads(job.run.info().threads):
                write_calibration(job.run.calibration_file, chosen)
                return job.compress(plan, dataset, parts, chosen)
        except KeyboardInterrupt:
            job.run.set_state("interrupted")
            raise
        except EdgeascError:
            job.run.give_up()
            raise
        finally:
            job.progress.close()


def run_clips(run: Run, dataset: Dataset, labels: Sequence[str]) -> dict[str, tuple[Clip, ...]]:
    """The clips of a run's split by role, looked up in `dataset`.

    Raises:
        BadInput: a clip is missing or its sound is another.
    """
    dataset = relabelled(dataset, labels)
    parts: dict[str, tuple[Clip, ...]] = {}
    for role in ("train", "validation", "test"):
        rows = [row for row in run.split() if row.role == role]
        clips = dataset.find(row.clip for row in rows)
        for clip, row in zip(clips, rows, strict=True):
            if dataset.digest(clip) != row.sha256:
                raise BadInput(
                    "data set", f"clip {clip.id!r} is not the recording that the run was trained on", run.path
                )
        parts[role] = clips
    return parts


def _resolved(recipe: Recipe, request: Request) -> Recipe:
    """The recipe of the compression: the parent's or the one asked for, in the form asked for."""
    wanted = request.recipe or recipe
    heard = wanted.features.with_arithmetic(recipe.features.arithmetic)
    if (wanted.model, heard, wanted.data) != (recipe.model, recipe.features, recipe.data):
        why = "[model], [features] but its arithmetic, and [data] are the trained run's and cannot change"
        raise UsageError("compress", why)
    if request.form is not None:
        wanted = wanted.model_copy(update={"quantize": wanted.quantize.model_copy(update={"form": request.form})})
    return wanted


@dataclass
class _Job:
    """One compression on its way."""

    parent: Run
    run: Run
    network: nn.Module
    recipe: Recipe
    labels: tuple[str, ...]
    request: Request
    progress: Progress
    cache: Path | None

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1, 1, self.recipe.features.n_mels, self.recipe.n_frames)

    def plan(self) -> Plan:
        """The solver's answer, and the limits that do not depend on training."""
        costs = costs_of(self.network, self.request.rule, self.recipe.quantize.form)
        limits = dict(self.request.limits)
        least = 0.0  # sparsity that the limits ask for
        if limits:
            net = QuantNet(self.network, self.recipe.quantize.form, self.input_shape)
            net.set_grids(torch.zeros(len(net.index)), torch.ones(len(net.index)))  # any that a writer accepts
            graph = net.freeze(self.metadata())
            self.check_limits(graph)
            if "flash" in limits:
                from edgeasc.compress.flash import keep_for_flash

                least = 1.0 - keep_for_flash(graph, limits["flash"])
        sparsity = self.request.sparsity
        if self.request.budget is None and sparsity is None and "flash" in limits:
            return solve_budget(costs, None, least)
        plan = solve_budget(costs, self.request.budget, sparsity)
        if plan.sparsity >= least:
            return plan
        if sparsity is not None:
            why = f"flash: needs {100 * least:.1f} % zeros, more than the --sparsity asked for"
            raise CheckFailed("limit", why)
        return replace(plan, keep=max(costs.layers, int((1.0 - least) * costs.weights)))

    def check_limits(self, graph: IntegerGraph) -> None:
        """What no sparsity changes."""
        from edgeasc.export.tflite import tflite_bytes

        for name, limit in self.request.limits:
            if name not in LIMITS:
                raise UsageError("--limit", f"{name!r} is not one of {', '.join(LIMITS)}")
            if name == "flash":
                continue
            # Zeros are stored in a .tflite, so that its size is known before anything is pruned.
            value = count(graph).macs if name == "macs" else len(tflite_bytes(graph))
            if value > limit:
                what = f"{value:,} MACs" if name == "macs" else format_size(value)
                raise CheckFailed(
                    "limit", f"{name}: {what} whatever the sparsity, more than {limit:,}; narrow the network"
                )

    def open(self, parent: Path) -> None:
        """Create the run folder, or take up the interrupted one."""
        if self.request.resume and self.run.exists:
            if self.run.info().parent != str(parent) or self.run.recipe().digest != self.recipe.digest:
                raise UsageError("--resume", "the run was started from another run or recipe", self.run.path)
            before, now = self.run.info().request, self.request.to_json()
            if changed := [key for key in now if before and before.get(key) != now[key]]:
                why = f"the run was started with {changed[0]} {before.get(changed[0])}, not {now[changed[0]]}"
                raise UsageError("--resume", why, self.run.path)
            self.run.set_state("running")
            return
        known = self.parent.info()
        info = RunInfo(
            kind="compress",
            recipe_hash=self.recipe.digest,
            labels=self.labels,
            seeds=known.seeds,
            threads=self.recipe.train.threads or torch.get_num_threads(),
            parent=str(parent),
            teacher=str(self.request.teacher) if self.request.teacher else None,
            data=known.data,
            request=self.request.to_json(),
            versions=installed_versions(),
        )
        self.run.create(info, self.recipe, self.parent.split())

    def compress(
        self, plan: Plan, dataset: Dataset, parts: dict[str, tuple[Clip, ...]], chosen: CalibrationSet
    ) -> Compressed:
        """All stages, each evaluated on the test clips, and the run's files."""
        engine: Engine = find_engine(self.request.engine)
        training = clip_arrays(dataset, parts["train"], self.recipe, self.cache)
        calibration = clip_arrays(dataset, calibration_clips(chosen, dataset), self.recipe, self.cache)
        training = replace(training, calibration=calibration.features, calibration_lengths=calibration.lengths)
        teacher = self.teacher(dataset, parts["train"])
        evaluate = self.evaluator(dataset, parts)
        stages = [Stage("float", evaluate(network_predict(self.network), None))]
        if plan.sparsity > 0:
            self.prune(engine, plan, training, teacher)
            stages.append(Stage("pruned", evaluate(network_predict(self.network), None)))
        net = engine.quantize(
            self.network, training, self.recipe, plan, self.input_shape, teacher, self.checkpoint(), self.progress
        )
        graph = net.freeze(self.metadata())
        payload = onnx_bytes(graph)
        stages.append(Stage("fake-quantised", evaluate(net_predict(net, "fake"), None)))
        stages.append(Stage("integers", evaluate(net_predict(net, "exact"), sha256(payload))))
        self.write(plan, stages, graph, payload)
        self.write_parity(net, dataset, parts)
        self.run.set_state("complete")
        return Compressed(self.run, plan, tuple(stages), graph)

    def choose_calibration(self, dataset: Dataset, parts: dict[str, tuple[Clip, ...]]) -> CalibrationSet:
        """The set asked for, or the default one.

        Raises:
            UsageError: the set holds a test clip.
        """
        path = self.request.calibration
        if path is None and dataset.name == SCENES:
            path = calibration_path("built-in-scenes")
        if path is not None:
            chosen = read_calibration(path)
        else:
            chosen = select_calibration(dataset, parts["train"], CALIBRATION_CLIPS, self.recipe.train.seed)
        clips = calibration_clips(chosen, dataset)
        if spoilt := {clip.id for clip in clips} & {clip.id for clip in parts["test"]}:
            raise UsageError("calibration", f"{min(spoilt)!r} is a test clip of this run", path)
        return chosen

    def prune(self, engine: Engine, plan: Plan, training: ClipArrays, teacher: nn.Module) -> None:
        """Prune the network in place, or take the weights of an interrupted run that had come further."""
        if self.pruned_file.exists() and self.request.resume:
            load_weights(self.network, read_tensors(self.pruned_file)[0], self.pruned_file)
            return
        engine.prune(self.network, training, self.recipe, plan, teacher, self.checkpoint(), self.progress)
        self.network.eval()
        write_tensors(self.pruned_file, dict(self.network.state_dict()))

    @property
    def pruned_file(self) -> Path:
        return self.run.path / "pruned.safetensors"

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.run, resume=True)

    def teacher(self, dataset: Dataset, clips: Sequence[Clip]) -> nn.Module:
        """Who is distilled from: the run asked for, or the network as it was before compression."""
        if self.request.teacher is not None:
            return load_teacher(self.request.teacher, self.recipe, dataset, clips, self.cache)
        self.progress.note("teacher: the uncompressed network itself (--teacher RUN for another)")
        return copy.deepcopy(self.network).eval()

    def evaluator(
        self, dataset: Dataset, parts: dict[str, tuple[Clip, ...]]
    ) -> Callable[[Predict, str | None], dict[str, Any]]:
        """Evaluation on the test clips, or the validation clips of a run that has no test clips."""
        role = "test" if parts["test"] else "validation" if parts["validation"] else "train"

        def evaluate(predict: Predict, digest: str | None) -> dict[str, Any]:
            return evaluate_predict(
                predict,
                dataset,
                parts[role],
                self.recipe,
                split=f"{role} clips ({self.run.info().data.get('split')})",
                sha256=digest,
                seeds=self.run.info().seeds,
                seen_devices=[clip.device for clip in parts["train"]],
                cache=self.cache,
            )

        return evaluate

    def metadata(self) -> dict[str, str]:
        """What the ONNX and TFLite files say about their input and output."""
        return {
            "edgeasc.features": self.recipe.features.model_dump_json(),
            "edgeasc.labels": json.dumps(list(self.labels)),
            "edgeasc.clip_seconds": repr(self.recipe.data.clip_seconds),
            "edgeasc.version": edgeasc.__version__,
        }

    def write(self, plan: Plan, stages: Sequence[Stage], graph: IntegerGraph, payload: bytes) -> None:
        """model.onnx, inventory.json, evaluate.json and stages.json."""
        write_bytes(self.run.onnx, payload)
        write_json(self.run.inventory, inventory(self.network, graph))
        write_json(self.run.evaluate_file, stages[-1].evaluation)
        counted = count(graph)
        document = {
            "schema": 1,
            "engine": self.request.engine,
            "form": graph.form,
            "plan": {
                "rule": plan.costs.rule,
                "budget_bytes": plan.budget,
                "planned_bytes": plan.planned_bytes,
                "keep": plan.keep,
                "keep_offsets": plan.keep_offsets,
                "sparsity": plan.sparsity,
            },
            "nonzero_bytes": counted.nonzero_bytes,
            "stages": [{"name": stage.name, "evaluation": stage.evaluation} for stage in stages],
        }
        write_json(self.run.path / "stages.json", document)

    def write_parity(self, net: QuantNet, dataset: Dataset, parts: dict[str, tuple[Clip, ...]]) -> None:
        """parity.safetensors: int8 inputs with the logits of the reference and of the fake-quantised network.

        Raises:
            CheckFailed: the integer-exact forward and the numpy reference differ (never expected).
        """
        least = parity_clips(count(net.freeze()).macs)
        wanted = least if least < CLIPS else least + SPARE_CLIPS
        enough = len(parts["test"]) >= wanted
        pool = parts["test"] if enough else [*parts["test"], *parts["validation"], *parts["train"]]
        spread = np.linspace(0, len(pool) - 1, min(len(pool), wanted)).astype(int)  # over classes and devices
        features = clip_arrays(dataset, [pool[at] for at in spread], self.recipe, self.cache).features
        tensors, equal = parity_tensors(net, features, self.recipe, least)
        write_tensors(self.run.parity, tensors)
        if not equal:
            raise CheckFailed("parity", "the integer-exact network and the numpy reference differ", self.run.path)
