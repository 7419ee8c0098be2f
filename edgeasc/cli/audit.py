"""`edgeasc audit`."""

from __future__ import annotations

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import set_option
from edgeasc.cli.terminal import assumed, repository_root, show
from edgeasc.errors import UsageError

FORMATS = ("text", "json", "markdown", "junit", "github", "sarif")


@click.command("audit", cls=Verb, short_help="Count what a model weighs and judge it against a budget.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--build", metavar="RECIPE", help="Instead of MODEL: the untrained network of a recipe (needs torch).")
@set_option
@click.option("--classes", type=click.IntRange(min=2), help="Classes of --build's network.  [default: 10]")
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
    help="Another limit: file, gzip, ram, arena, flash (sizes), macs, parameters (counts). May be repeated.",
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
    build: str | None,
    settings: tuple[str, ...],
    classes: int | None,
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
      edgeasc audit --build bcresnet-mod-1 --set model.options.c=20 --budget 8KiB
    """
    from edgeasc.audit import DEFAULT_RULE, audit
    from edgeasc.audit.limits import parse_limits
    from edgeasc.audit.report import report_blocks

    defaults = {} if rules else {"--rules": f"{DEFAULT_RULE} (non-zero weights and biases of the deployed network)"}
    named, plans = parse_limits(limits), []
    if build is None:
        refuse({"--set": settings, "--classes": classes}, "belongs to --build RECIPE")
        if not models:
            raise UsageError("audit", "nothing to audit; give a MODEL, or --build RECIPE")
        report = audit(models, budget, rules, limits=named, arena=arena, system=system, targets=targets, bench=bench)
        document = report.to_json()
    else:
        from edgeasc.untrained import CLASSES, audit_recipe, plan_words

        refuse({"MODEL": models, "--system": system, "--bench": bench}, "and --build do not go together")
        found = audit_recipe(
            build, settings, budget, rules, classes=classes or CLASSES, limits=named, arena=arena, targets=targets
        )
        report, document, plans = found.report, found.to_json(), [plan_words(plan) for plan in found.plans]
        defaults |= {} if classes else {"--classes": str(CLASSES)}
    if form == "text":
        assumed(defaults, quiet)
    if form in ("junit", "github", "sarif"):
        from edgeasc.audit.gate.formats.render import render
        from edgeasc.audit.gate.from_audit import gate_report

        click.echo(render(gate_report(report), form, repository_root()), nl=False)
    else:
        show([*plans, *report_blocks(report, all_layers)], document, form)
    return 0 if report.passed else 1


def refuse(given: dict[str, object], why: str) -> None:
    """Refuse options that have no meaning here.

    Raises:
        UsageError: one of them is given.
    """
    for name, value in given.items():
        if value:
            raise UsageError("audit", f"{name} {why}")
