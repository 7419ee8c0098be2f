"""`edgeasc audit`."""

from __future__ import annotations

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import assumed, repository_root, show

FORMATS = ("text", "json", "markdown", "junit", "github", "sarif")


@click.command("audit", cls=Verb, short_help="Count what a model weighs and judge it against a budget.")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--budget", metavar="SIZE", help="Most bytes under each rule: 61440, 60KiB (1024) or 60kB (1000).")
@click.option(
    "--rules",
    multiple=True,
    metavar="NAME",
    help="Counting rule, see `edgeasc rules`, or a .toml file. May be repeated.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another limit: file, gzip, ram, arena (sizes), macs, parameters (counts). May be repeated.",
)
@click.option(
    "--arena/--no-arena", default=True, help="Let TFLM, where installed, measure its arena.  [default: arena]"
)
@click.option("--system", is_flag=True, help="The models are one system: rules for systems judge their sum.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="A chip of `edgeasc targets`, its clock if another: cortex-m4@80MHz. May be repeated.",
)
@click.option(
    "--bench",
    multiple=True,
    metavar="FILE",
    help="Measured latencies (JSON) that take the place of estimates. May be repeated.",
)
@click.option("--all-layers", is_flag=True, help="List layers without parameters as well.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How to print; junit, github and sarif tell the limits and targets alone.",
)
def command(
    models: tuple[str, ...],
    budget: str | None,
    rules: tuple[str, ...],
    limits: tuple[str, ...],
    arena: bool,
    system: bool,
    targets: tuple[str, ...],
    bench: tuple[str, ...],
    all_layers: bool,
    form: str,
    quiet: bool,
) -> int:
    """Count what a model weighs, layer by layer, and judge it against a budget and for chips.

    MODEL is a run folder, an exported folder, a .onnx, a .tflite or a .safetensors, made by edgeasc or by anybody
    else. Neither torch nor TensorFlow is needed. Exit code 1 when a limit is broken, or
    when the model does not run or fit on a target.

    \b
      edgeasc audit model.tflite --budget 64KiB
      edgeasc audit runs/small --rules qti-report --budget 61KiB
      edgeasc audit model.tflite --rules dcase2025
      edgeasc audit model.tflite --target cortex-m4@80MHz --target ethos-u55
      edgeasc audit a.tflite b.onnx --limit macs=30M --limit arena=128KiB --format json
    """
    from edgeasc.audit import DEFAULT_RULE, audit
    from edgeasc.audit.limits import parse_limits
    from edgeasc.audit.report import report_blocks

    report = audit(
        models, budget, rules, limits=parse_limits(limits), arena=arena, system=system, targets=targets, bench=bench
    )
    if not rules and form == "text":
        assumed({"--rules": f"{DEFAULT_RULE} (non-zero weights and biases of the deployed network)"}, quiet)
    if form in ("junit", "github", "sarif"):
        from edgeasc.audit.gate.formats.render import render
        from edgeasc.audit.gate.from_audit import gate_report

        click.echo(render(gate_report(report), form, repository_root()), nl=False)
    else:
        show(report_blocks(report, all_layers), report.to_json(), form)
    return 0 if report.passed else 1
