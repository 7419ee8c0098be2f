"""`edgeasc export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, optimise_option, out_option, require_option, threads_option
from edgeasc.cli.pages import parity_blocks
from edgeasc.cli.terminal import assumed, format_option, show
from edgeasc.errors import UsageError
from edgeasc.sizes import parse_size
from edgeasc.tables import Table


@click.command("export", cls=Verb, short_help="Write ONNX, TFLite and C, with the proof that they agree.")
@click.argument("source", type=FOLDER)
@click.option("--onnx", is_flag=True, help="Write model.onnx.")
@click.option("--tflite", is_flag=True, help="Write model.tflite.")
@click.option("--c", "c_code", is_flag=True, help="Write c/, C99 without a runtime. Without any flag: ONNX and TFLite.")
@optimise_option("--c")
@click.option(
    "--front-end/--no-front-end", default=None, help="C: from 16-bit samples.  [default: where it can be had]"
)
@click.option("--ram", metavar="SIZE", help="C: most bytes of its arena; parts of the network then run in strips.")
@click.option(
    "--package",
    "packages",
    multiple=True,
    type=click.Choice(["arduino", "zephyr"]),
    help="The C as an Arduino library or a Zephyr module too. May be repeated.",
)
@click.option(
    "--converter",
    type=click.Choice(["direct", "tensorflow"]),
    default="direct",
    show_default=True,
    help="Who writes the TFLite file; TensorFlow's own converter is an independent second opinion.",
)
@click.option("--data", type=FOLDER, help="Recordings for the parity report of a .onnx that brings no inputs.")
@click.option(
    "--clips", type=click.IntRange(min=1), help="Parity inputs then.  [default: 200; 20 above 200 million MACs]"
)
@require_option
@threads_option
@out_option("The folder to write.")
@format_option
def command(
    source: Path,
    onnx: bool,
    tflite: bool,
    c_code: bool,
    optimise: str,
    front_end: bool | None,
    ram: str | None,
    packages: tuple[str, ...],
    converter: str,
    data: Path | None,
    clips: int | None,
    require: tuple[str, ...],
    threads: int,
    out: Path,
    form: str,
    quiet: bool,
) -> None:
    """Export a compressed run, an exported folder or any tool's quantised .onnx to ONNX, TFLite and C.

    Every installed runtime computes the same inputs and is held against its judge; a missed rung fails the command
    and nothing is written. The manifest carries the digests and counts that `edgeasc verify` derives again.

    \b
      edgeasc export runs/small --out build
      edgeasc export runs/small --onnx --c --out firmware
      edgeasc export runs/large --c --ram 64KiB --out firmware
      edgeasc export runs/small --onnx --package zephyr --out firmware
      edgeasc export runs/float --onnx --out float   (as it was trained, in 32-bit floats)
      edgeasc export somebodys.onnx --tflite --data recordings --out build
    """
    from edgeasc.export.artefacts import export_artefacts, front_end_words
    from edgeasc.export.c.choice import parse_optimise
    from edgeasc.export.float_onnx import export_float, is_float_run
    from edgeasc.export.parity import ParityFailed

    c_code = c_code or bool(packages)
    if ram and not c_code:
        raise UsageError("--ram", "is about C; add --c")
    chosen = onnx or tflite or c_code
    assumed({} if chosen else {"artefacts": "--onnx --tflite"}, quiet)
    try:
        if onnx and not (tflite or c_code) and is_float_run(source):
            done = export_float(source, out, threads=threads)
            _show(done["files"], done, out, form)
            return
        done = export_artefacts(
            source,
            out,
            onnx=onnx or not chosen,
            tflite=tflite or not chosen,
            c=c_code,
            optimise=parse_optimise(optimise),
            front_end=front_end,
            packages=packages,
            ram=parse_size(ram) if ram else None,
            converter=converter,  # type: ignore[arg-type]
            data=data,
            require=require,
            clips=clips,
            threads=threads,
        )
    except ParityFailed as error:
        show(parity_blocks(error.document), error.document, form)
        raise
    if c_code and front_end is None:
        assumed({"--front-end": front_end_words(out)}, quiet)
    _show(done["manifest"]["files"], done, out, form)


def _show(files: list[dict[str, Any]], done: dict[str, Any], out: Path, form: str) -> None:
    """The parity report and what was written."""
    rows = [(str(out / entry["name"]), f"{entry['bytes']:,}", entry["sha256"][:12]) for entry in files]
    show([*parity_blocks(done["parity"]), Table(("written", ">bytes", "sha256"), rows)], {"schema": 1, **done}, form)
