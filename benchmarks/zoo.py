"""Every network of the zoo through the whole line: train, compress, export, audit, bench; parity and sizes of each.

    python benchmarks/zoo.py --data DIR [--models cnn10 ...] [--update FILE] [--work WORK]

Two things are measured of each network. As its recipe has it (its own length of clips, every weight kept, untrained):
parameters, multiply-accumulates, size as int8 .tflite, RAM, latency on this host. And after a short training on ESC-10
(one fold held out, crops of about a second, few epochs, half of the weights pruned): accuracy by stage, parity of every
runtime, sizes, C or the reason why not. The short training shows that the line holds, not what a network can learn.

Each network is a process of its own. A stage that is refused is a row that says so, and all but a refused C export fail
the script. Rows of networks that are not run come from `--update FILE`. Writes <date>-zoo.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EAT_SAMPLES = 32_768  # 32 tokens, 1.49 s at 22.05 kHz; fewer are shorter than what the dilated layers reflect
FOLD, SPARSITY = 4, 0.5
SHORT = (  # for all; what a recipe does not have, such as masks in time beside waveforms, it leaves at its default
    "data.clip_seconds=1.0",
    "data.crop=random",
    "data.test_crops=3",
    "data.validation=0",
    "augment.mixup_alpha=0",
    "augment.time_mask_width=8",
    "train.batch_size=16",
    "train.warmup_epochs=1",
    "train.precision=bf16",
    "train.threads=1",
    "prune.epochs=2",
    "quantize.epochs=2",
    "quantize.exact_epochs=1",
)
LARGE = ("data.test_crops=1", "train.batch_size=32", "prune.epochs=1")  # for networks that take long
PANNS = (
    *LARGE,
    "data.clip_seconds=0.66",  # 34 frames: five poolings leave one
    "train.iterations=0",
    "train.ema=none",
    "train.loss=cross-entropy",
    "train.schedule=cosine",
    "train.sampler=shuffle",
)
EAT = (
    *LARGE,
    f"model.options.samples={EAT_SAMPLES}",
    f"data.clip_seconds={EAT_SAMPLES / 22_050!r}",
    "train.loss=cross-entropy",
    "wave_augment.mixes=[]",
    "train.ema=none",
    "train.batch_size=16",
)


@dataclass(frozen=True)
class Member:
    """A network of the zoo: its recipe, what makes it this network, what shortens its training, its epochs."""

    recipe: str
    own: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    epochs: int = 1


ZOO = {
    "bcresnet-mod-1": Member("bcresnet-mod-1", epochs=30),
    "bcresnet-mod-8": Member("bcresnet-mod-8", short=(*LARGE, "model.options.lam=1.0"), epochs=24),  # as recipe esc10
    "bcresnet-8": Member("bcresnet-8", short=LARGE, epochs=2),
    "mobilenet-v1": Member("mobilenet-v1", short=(*PANNS, "quantize.epochs=3"), epochs=20),
    "cnn6": Member("cnn6", short=PANNS),
    "cnn10": Member("cnn10", short=PANNS, epochs=6),
    "wideresnet28-2": Member("wideresnet28-2", short=PANNS),
    "resnet22": Member("resnet22", short=PANNS, epochs=2),
    "cnn14": Member("cnn10", ('model.name="cnn14"',), PANNS),
    "cnn10-resnet22": Member("cnn10-resnet22", ("model.options.free=true",), PANNS),
    "eat-s-aa": Member("eat-s-aa", short=EAT, epochs=2),
    "eat-s-gmme": Member("eat-s-gmme", short=EAT, epochs=2),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder in ESC-50 layout")
    parser.add_argument("--models", nargs="+", default=list(ZOO), choices=list(ZOO), metavar="NAME")
    parser.add_argument("--update", type=Path, default=None, help="earlier result whose other rows stay")
    parser.add_argument("--collect", action="store_true", help="run nothing: what --work holds, and what it lacks")
    parser.add_argument("--runs", type=int, default=40, help="timed runs of each runtime")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up finished stages")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--job", default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


class Job:
    """One network on its way; `row` grows by a key per stage."""

    def __init__(self, name: str, options: argparse.Namespace, work: Path) -> None:
        from edgeasc.recipes import load_recipe

        self.name, self.member, self.options = name, ZOO[name], options
        self.folder, self.cache = work / name, work / "cache"
        self.settings = (*SHORT, f"train.epochs={self.member.epochs}", *self.member.own, *self.member.short)
        self.recipe = load_recipe(self.member.recipe, self.settings)
        self.row: dict[str, Any] = {
            "model": name,
            "recipe": self.member.recipe,
            "own": list(self.member.own),
            "settings": [*self.settings],
            "date": date.today().isoformat(),
            "refused": {},
            "seconds": {},
        }
        self.notes = self.folder / "row.json"  # what is done, for a run that is taken up
        if self.notes.exists():
            earlier = json.loads(self.notes.read_text())
            if earlier["settings"] == self.row["settings"]:
                self.row = earlier | {"refused": {}}

    def run(self) -> dict[str, Any]:
        """All stages in order, but those done before; after a refusal those that need its result say so."""
        from edgeasc.files import write_json

        for stage, needs in STAGES.items():
            if stage in self.row:
                continue
            missing = [other for other in needs if other in self.row["refused"]]
            if missing:
                self.row["refused"][stage] = f"needs {missing[0]}"
                continue
            self.attempt(stage)
            self.row["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            write_json(self.notes, self.row)
            print(f"{self.name} {stage}: {self.row['refused'].get(stage, 'done')}", file=sys.stderr, flush=True)
        return self.row

    def attempt(self, stage: str) -> None:
        from edgeasc.errors import EdgeascError

        step: Callable[[], Any] = getattr(self, stage.replace("-", "_"))
        started = time.perf_counter()
        try:
            self.row[stage] = step()
        except EdgeascError as error:
            self.row["refused"][stage] = f"{error.what}: {error.why}"
        self.row["seconds"][stage] = round(time.perf_counter() - started, 1)

    def untrained(self) -> dict[str, Any]:
        """The network as its recipe has it, with all its weights: counts, size, RAM, latency here."""
        from edgeasc.audit import audit
        from edgeasc.bench.host import bench_host
        from edgeasc.nn.registry import create_model
        from edgeasc.recipes import load_recipe
        from edgeasc.untrained import CLASSES, write_untrained

        recipe = load_recipe(self.member.recipe, self.member.own)
        network = create_model(recipe.model.name, CLASSES, **recipe.model.options)
        document: dict[str, Any] = {
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "classes": CLASSES,
            "input": [1, recipe.features.n_mels, recipe.n_frames],
            "clip_seconds": recipe.data.clip_seconds,
            "form": recipe.quantize.form,
        }
        del network
        with tempfile.TemporaryDirectory(prefix="edgeasc-zoo-") as place:
            path = write_untrained(recipe, CLASSES, Path(place)) / "model.tflite"
            document |= audited(audit(path).models[0])
            document["latency"] = latencies(bench_host(path, runs=self.options.runs, warmup=3))
        return document

    def train(self) -> dict[str, Any]:
        """A short training on all folds but one."""
        from edgeasc.data.layouts import open_dataset
        from edgeasc.data.split import split
        from edgeasc.train.run import train_run

        dataset = open_dataset(self.options.data)
        run = train_run(
            self.recipe,
            dataset,
            split(dataset, fold=FOLD, validation=0.0),
            self.folder / "float",
            resume=True,
            cache=self.cache,
        )
        return score(json.loads(run.evaluate_file.read_text()))

    def float_onnx(self) -> dict[str, Any]:
        """The trained network as ONNX in floats."""
        from edgeasc.export.float_onnx import export_float

        out = self.folder / "onnx"
        done = export_float(self.folder / "float", fresh(out))
        return {"bytes": done["files"][0]["bytes"], "parity": done["parity"]["rungs"]}

    def compress(self) -> dict[str, Any]:
        """Half of the weights pruned, the rest on the int8 grid."""
        from edgeasc.compress.run import Request, compress_run
        from edgeasc.data.layouts import open_dataset
        from edgeasc.runs import Run

        out = self.folder / "int8"
        if not (Run(out).exists and Run(out).info().state == "complete"):
            request = Request(sparsity=SPARSITY, recipe=self.recipe, resume=True)
            compress_run(self.folder / "float", open_dataset(self.options.data), out, request, cache=self.cache)
        document = json.loads((out / "stages.json").read_text())
        stages = {stage["name"]: score(stage["evaluation"]) for stage in document["stages"]}
        return {"form": document["form"], "sparsity": SPARSITY, "stages": stages}

    def c(self) -> dict[str, Any]:
        """The C folder by itself: its flash and arena, or the writer's refusal."""
        from edgeasc.export.artefacts import read_source
        from edgeasc.export.c.bundle import bundle

        facts = bundle(read_source(self.folder / "int8").graph).facts
        return {"constant_bytes": facts["constant_bytes"], "arena_bytes": facts["arena_bytes"]}

    def export(self) -> dict[str, Any]:
        """ONNX, TFLite and, where it can be had, C, with the parity of every runtime."""
        from edgeasc.export.artefacts import export_artefacts
        from edgeasc.export.parity import ParityFailed

        out = fresh(self.folder / "export")
        try:
            done = export_artefacts(self.folder / "int8", out, c="c" not in self.row["refused"])
        except ParityFailed as error:
            self.row["parity"] = error.document
            raise
        self.row["parity"] = done["parity"]
        return {
            entry["name"]: entry["bytes"] for entry in done["manifest"]["files"] if entry["name"].startswith("model.")
        }

    def audit(self) -> dict[str, Any]:
        """Counts of the deployed network, and the arena that TensorFlow Lite Micro asks for."""
        from edgeasc.audit import audit

        return audited(audit(self.folder / "export" / "model.tflite").models[0])

    def bench(self) -> dict[str, Any]:
        """Latency of the exported files on this host."""
        from edgeasc.bench.host import bench_host

        options = {"runs": self.options.runs, "warmup": 3}
        floats = bench_host(self.folder / "float", runtimes=["torch"], **options)
        return latencies(bench_host(self.folder / "export", **options)) | latencies(floats)


STAGES: dict[str, tuple[str, ...]] = {
    "untrained": (),
    "train": (),
    "float-onnx": ("train",),
    "compress": ("train",),
    "c": ("compress",),
    "export": ("compress",),
    "audit": ("export",),
    "bench": ("export",),
}
MAY_BE_REFUSED = ("c",)


def fresh(folder: Path) -> Path:
    """`folder`, moved out of the way if an earlier run left it."""
    if folder.exists():
        folder.rename(Path(tempfile.mkdtemp(prefix=f"{folder.name}-old-", dir=folder.parent)) / "old")
    return folder


def score(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an evaluation document."""
    return {key: evaluation[key] for key in ("accuracy", "n", "split", "seeds")}


def audited(model: Any) -> dict[str, Any]:
    """What is kept of an audit."""
    return {
        "deployed_parameters": model.parameters.total,
        "nonzero": model.parameters.nonzero,
        "nonzero_bytes": model.parameters.nonzero_bytes,
        "macs": model.macs,
        "tflite_bytes": model.file_bytes,
        "gzip_bytes": model.gzip_bytes,
        "peak_activation_bytes": model.peak_activation_bytes,
        "arena_bytes": model.arena.bytes,
        "arena_why": model.arena.why,
        "operators": model.operators,
        "notes": list(model.notes),
    }


def latencies(document: dict[str, Any]) -> dict[str, Any]:
    """Median microseconds by runtime, or why there are none."""
    return {row["runtime"]: row.get("median_us", row.get("error")) for row in document["results"]}


def collect(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """One process per network, one after another; one that dies is a row that says so."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    rows = []
    for name in options.models:
        command = [sys.executable, __file__, *sys.argv[1:], "--work", str(work), "--job", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=False)
        if done.returncode:
            rows.append({"model": name, "refused": {"process": f"ended with status {done.returncode}"}})
        else:
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def finished(name: str, work: Path) -> dict[str, Any]:
    """The row of a network as far as it came; stages that were not reached are told as not run."""
    from zoo_table import NOT_RUN

    notes = work / name / "row.json"
    member = ZOO[name]
    bare = {"model": name, "recipe": member.recipe, "own": list(member.own), "refused": {}, "seconds": {}}
    row: dict[str, Any] = json.loads(notes.read_text()) if notes.exists() else bare
    for stage in STAGES:
        if stage not in row:
            row["refused"].setdefault(stage, NOT_RUN)
    return row


def merged(rows: list[dict[str, Any]], earlier: Path | None) -> list[dict[str, Any]]:
    """`rows` with those of other networks from an earlier result, in the order of the zoo."""
    known = {row["model"]: row for row in json.loads(earlier.read_text())["rows"]} if earlier else {}
    known |= {row["model"]: row for row in rows}
    return [known[name] for name in ZOO if name in known]


def failures(rows: list[dict[str, Any]]) -> list[str]:
    """Stages that were refused and may not be."""
    return [
        f"{row['model']}: {stage}: {why}"
        for row in rows
        for stage, why in row["refused"].items()
        if stage not in MAY_BE_REFUSED
    ]


def main() -> int:
    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-zoo-"))
    if options.job is not None:
        print(json.dumps(Job(options.job, options, work).run()))
        return 0
    from zoo_table import parity_page

    from edgeasc.bench.machine import describe_machine
    from edgeasc.files import write_json, write_text

    found = [finished(name, work) for name in options.models] if options.collect else collect(options, work)
    rows = merged(found, options.update)
    document = {
        "schema": 1,
        "benchmark": "zoo",
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "data": "ESC-10",
        "fold": FOLD,
        "rows": rows,
        "failures": failures(rows),
    }
    path = options.out / f"{document['date']}-zoo.json"
    write_json(path, document)
    write_text(path.with_suffix(".md"), parity_page(document))
    print("\n".join([parity_page(document), str(path), *failures(rows)]))
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
