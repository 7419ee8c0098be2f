"""`edgeasc bench`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, optimise_option, threads_option
from edgeasc.cli.pages import instruction_blocks, latency_blocks
from edgeasc.cli.terminal import assumed, format_option, show
from edgeasc.errors import UsageError
from edgeasc.sizes import parse_size
from edgeasc.tables import printable

# Which targets an option is about; given without any of them, it is refused rather than passed over.
MEANT_FOR = {
    "runtimes": ("host", "ssh"),
    "runs": ("host", "ssh"),
    "warmup": ("host", "ssh"),
    "threads": ("host", "ssh"),
    "optimise": ("qemu", "native-c"),
    "ram": ("qemu", "native-c"),
    "audio": ("qemu", "serial"),
    "all_layers": ("qemu", "serial"),
    "baud": ("serial",),
    "python": ("ssh",),
    "alias": ("ssh",),
    "ssh_config": ("ssh",),
}


def _refuse_misplaced(wanted: Mapping[str, object]) -> None:
    context = click.get_current_context()
    for option in context.command.params:
        name = str(option.name)
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and not wanted.keys() & set(meant := MEANT_FOR.get(name, wanted)):
            targets = " or ".join(kind if kind in ("host", "native-c") else f"{kind}:" for kind in meant)
            raise UsageError(option.opts[0], f"needs a {targets} target")


@click.command("bench", cls=Verb, short_help="Measure latency here, or instructions on an emulated microcontroller.")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="`host`, `native-c`, `tflm`, `ssh://user@host`, `serial:PORT`, `qemu:` and cortex-m4, cortex-m7 or cortex-m55,"
    " `vela:` and an Ethos-U as vela writes it. Repeatable.  [default: host]",
)
@click.option("--runtime", "runtimes", multiple=True, metavar="NAME", help="host, ssh: only this one. May be repeated.")
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True, help="host, ssh: timed runs.")
@click.option("--warmup", type=click.IntRange(min=0), default=20, show_default=True, help="host, ssh: runs before.")
@click.option("--clips", type=click.IntRange(min=1), default=3, show_default=True, help="Elsewhere: inputs compared.")
@optimise_option("qemu, native-c", default=None)
@click.option("--ram", metavar="SIZE", help="qemu, native-c: most bytes of the C's arena; it then runs in strips.")
@click.option("--all-layers", is_flag=True, help="qemu, serial: the cost of every layer.")
@click.option(
    "--baud", type=click.IntRange(min=300), default=115200, show_default=True, help="serial: the line's speed."
)
@click.option(
    "--audio", multiple=True, type=FOLDER, metavar="FILE", help="qemu, serial: from this recording to scenes."
)
@click.option("--python", default="python3", show_default=True, help="ssh: the interpreter there.")
@click.option("--as", "alias", metavar="NAME", help="ssh: call the machine so, such as raspberry-pi-4 for `audit`.")
@click.option("--ssh-config", type=FOLDER, metavar="FILE", help="ssh: this configuration in place of the user's own.")
@threads_option
@format_option
def command(
    models: tuple[Path, ...],
    targets: tuple[str, ...],
    runtimes: tuple[str, ...],
    runs: int,
    warmup: int,
    clips: int,
    optimise: str | None,
    ram: str | None,
    all_layers: bool,
    baud: int,
    audio: tuple[Path, ...],
    python: str,
    alias: str | None,
    ssh_config: Path | None,
    threads: int,
    form: str,
    quiet: bool,
) -> int:
    """What one inference costs: time on this machine, or counted instructions, flash and RAM of an emulated chip.

    On the host every runtime has a process of its own, and they take turns, so that a busy moment hits all alike. A
    runtime that dies on a model is a row that says so.

    For qemu: targets the model's C is compiled for the core, linked for a real chip's memory, and run with
    deterministic counting; its integers are compared with the numpy reference. Instructions are no latency. Of an
    exported folder it is the C that lies there; with --optimise or --ram, C that is written anew from its ONNX.

    With --audio the firmware hears recordings through the C front end: the instructions of front end and network apart,
    flash and RAM of both, and the scenes; every level and logit is compared with the numpy reference.

    For serial: targets a board that runs this model's firmware (examples/firmware) counts the cycles of its core.

    native-c runs the model's C on this machine, its integers under the sanitisers, its time without.

    tflm runs the model in TensorFlow Lite for Microcontrollers on this machine, for its arena and its integers. vela:
    asks Arm's compiler for an estimate; it executes nothing.

    An ssh:// target is a Linux machine with Python 3.9 or later, numpy and a runtime. One file is sent over by the
    system's ssh and run from memory; nothing stays there. A host whose key is not known is refused.

    \b
      edgeasc bench build/model.tflite build/model.onnx
      edgeasc bench runs/small --runtime litert --runtime onnxruntime --runs 1000
      edgeasc bench runs/small --target qemu:cortex-m4 --target qemu:cortex-m55 --all-layers
      edgeasc bench runs/large --target qemu:cortex-m4 --ram 64KiB
      edgeasc bench runs/small --target qemu:cortex-m4 --audio street.wav
      edgeasc bench build/c --target serial:/dev/ttyACM0
      edgeasc bench build/model.tflite --target ssh://pi@raspberrypi.local
    """
    from edgeasc.bench.targets import parse_targets
    from edgeasc.export.c.choice import parse_optimise

    wanted = parse_targets(targets)
    most = parse_size(ram) if ram else None
    level = parse_optimise(optimise) if optimise else None
    _refuse_misplaced(wanted)
    documents, blocks = [], []
    if "host" in wanted:
        from edgeasc.bench.host import bench_host

        defaults = {} if runtimes else {"--runtime": "all that are installed"}
        assumed(defaults | ({"--threads": "1"} if threads == 1 else {}), quiet)
        documents.append(bench_host(models, runtimes or None, runs=runs, warmup=warmup, threads=threads))
        blocks += latency_blocks(documents[-1])
    if "ssh" in wanted:
        from edgeasc.bench.remote.address import parse_address
        from edgeasc.bench.remote.bench import bench_remote
        from edgeasc.cli.bench_pages import remote_blocks

        assumed({} if runtimes else {"--runtime": "all that the machine has"}, quiet)
        there = bench_remote(
            models, [parse_address(name) for name in wanted["ssh"]], runtimes or None, runs=runs, warmup=warmup,
            threads=threads, clips=clips, python=python, config=ssh_config, name=alias,
        )  # fmt: skip
        documents.append(there)
        blocks += remote_blocks(there)
    if "qemu" in wanted and audio:
        from edgeasc.bench.mcu.listen import bench_listening
        from edgeasc.cli.listen_pages import listening_blocks

        documents.append(bench_listening(models, wanted["qemu"], audio, optimise=level, ram=most))
        blocks += listening_blocks(documents[-1])
    elif "qemu" in wanted:
        from edgeasc.bench.mcu.bench import bench_cores

        documents.append(bench_cores(models, wanted["qemu"], clips=clips, optimise=level, ram=most))
        blocks += instruction_blocks(documents[-1], all_layers)
    if "serial" in wanted and audio:
        from edgeasc.bench.mcu.serial_listen import bench_boards_listening
        from edgeasc.cli.board_pages import board_listening_blocks

        documents.append(bench_boards_listening(models, wanted["serial"], audio, baud=baud))
        blocks += board_listening_blocks(documents[-1])
    elif "serial" in wanted:
        from edgeasc.bench.mcu.serial_bench import bench_boards
        from edgeasc.cli.board_pages import board_blocks

        documents.append(bench_boards(models, wanted["serial"], clips=clips, baud=baud))
        blocks += board_blocks(documents[-1], all_layers)
    if "native-c" in wanted:
        from edgeasc.bench.native_c import bench_native_c
        from edgeasc.cli.bench_pages import native_blocks

        documents.append(bench_native_c(models, clips=clips, optimise=level, ram=most))
        blocks += native_blocks(documents[-1])
    if "tflm" in wanted:
        from edgeasc.bench.tflm import bench_tflm
        from edgeasc.cli.bench_pages import arena_blocks

        documents.append(bench_tflm(models, clips=clips))
        blocks += arena_blocks(documents[-1])
    if "vela" in wanted:
        from edgeasc.bench.vela import bench_vela
        from edgeasc.cli.bench_pages import estimate_blocks

        documents.append(bench_vela(models, wanted["vela"]))
        blocks += estimate_blocks(documents[-1])
    document = documents[0] | {
        "target": ", ".join(each["target"] for each in documents),
        "results": [row for each in documents for row in each["results"]],
        "exit_code": max(each["exit_code"] for each in documents),
    }
    failed = [row["error"] for row in document["results"] if "error" in row and row["target"] != "host"]
    for why in failed:
        click.echo(printable(f"edgeasc: error: {why}"), err=True)
    if form == "json" or len(failed) < len(document["results"]):
        show(blocks, document, form)
    return int(document["exit_code"])
