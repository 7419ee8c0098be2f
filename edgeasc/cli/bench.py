"""`edgeasc bench`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, threads_option
from edgeasc.cli.pages import latency_blocks
from edgeasc.cli.terminal import assumed, format_option, show


@click.command("bench", cls=Verb, short_help="Measure latency in every runtime that is here.")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=FOLDER)
@click.option("--target", type=click.Choice(["host"]), default="host", show_default=True, help="Where to measure.")
@click.option("--runtime", "runtimes", multiple=True, metavar="NAME", help="Only this runtime. May be repeated.")
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True, help="Timed runs per runtime.")
@click.option("--warmup", type=click.IntRange(min=0), default=20, show_default=True, help="Runs before them.")
@threads_option
@format_option
def command(
    models: tuple[Path, ...],
    target: str,
    runtimes: tuple[str, ...],
    runs: int,
    warmup: int,
    threads: int,
    form: str,
    quiet: bool,
) -> int:
    """Latency of one inference: median, 90th and 99th percentile, each runtime in a process of its own.

    The runtimes take turns, so that a busy moment hits all alike. A runtime that dies on a model is a row that says so.

    \b
      edgeasc bench build/model.tflite build/model.onnx
      edgeasc bench runs/small --runtime litert --runtime onnxruntime --runs 1000
    """
    from edgeasc.bench.host import bench_host

    defaults = {} if runtimes else {"--runtime": "all that are installed"}
    assumed(defaults | ({"--threads": "1"} if threads == 1 else {}), quiet)
    document = bench_host(models, runtimes or None, runs=runs, warmup=warmup, threads=threads)
    show(latency_blocks(document), document, form)
    return int(document["exit_code"])
