"""`edgeasc compress`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import (
    FOLDER,
    cache_option,
    data_option,
    out_option,
    resume_option,
    set_option,
    teacher_option,
)
from edgeasc.cli.pages import stage_table
from edgeasc.cli.recordings import open_recordings
from edgeasc.cli.terminal import assumed, format_option, note, show


@click.command("compress", cls=Verb, short_help="Prune and quantise a trained run to a byte budget.")
@click.argument("run", type=FOLDER)
@click.option("--budget", metavar="SIZE", help="Most bytes under the rule: 61440, 60KiB (1024) or 60kB (1000).")
@click.option("--sparsity", type=float, help="Instead of a budget: part of the convolution weights to remove.")
@click.option("--rules", "rule", default="deployed", show_default=True, help="Counting rule, see `edgeasc rules`.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Another limit: file, macs, flash (as C).")
@click.option("--form", "network_form", type=click.Choice(["int8", "island"]), help="Default: the recipe's.")
@click.option("--engine", default="native", show_default=True, help="Who prunes and quantises: native or nncf.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Calibration set (TOML) for the int8 ranges. Default: the scenes' own, or 240 training clips, balanced.",
)
@data_option("The recordings of the run")
@teacher_option
@set_option
@resume_option
@cache_option
@out_option("The run folder to write.")
@format_option
def command(
    run: Path,
    budget: str | None,
    sparsity: float | None,
    rule: str,
    limits: tuple[str, ...],
    network_form: str | None,
    engine: str,
    calibration: Path | None,
    data: Path | None,
    teacher: Path | None,
    settings: tuple[str, ...],
    resume: bool,
    cache: Path | None,
    out: Path,
    form: str,
    quiet: bool,
) -> int:
    """Prune, quantise to 8 bits and freeze a trained run so that it lands just under a budget.

    The sparsity that fits is found before any training, and an impossible budget is refused with the smallest
    possible one. Ends with the accuracy of every stage, and with the audit's verdict on the budget.

    \b
      edgeasc compress runs/float --budget 4KiB --data recordings --out runs/small
      edgeasc compress runs/large --budget 61KiB --rules qti-report --data recordings --out runs/qti
    """
    from edgeasc.audit import audit
    from edgeasc.audit.limits import parse_limits
    from edgeasc.audit.report import verdict_table
    from edgeasc.compress.run import Request, compress_run
    from edgeasc.data.cache import default_cache
    from edgeasc.runs import Run
    from edgeasc.sizes import parse_size
    from edgeasc.specs import Recipe, parse_spec, with_settings
    from edgeasc.train.progress import progress_for

    recipe = Run(run).recipe()
    request = Request(
        budget=None if budget is None else parse_size(budget),
        sparsity=sparsity,
        rule=rule,
        form=network_form,  # type: ignore[arg-type]
        recipe=parse_spec(Recipe, with_settings(recipe.model_dump(mode="json"), settings), what="--set"),
        teacher=teacher,
        engine=engine,
        calibration=calibration,
        limits=tuple(parse_limits(limits).items()),
        resume=resume,
    )
    dataset = open_recordings(run, data)
    defaults = {"--data": "built-in scenes"} if data is None else {}
    defaults |= {"--cache": str(default_cache())} if cache is None else {}
    defaults |= {"--teacher": "the uncompressed network itself"} if teacher is None else {}
    assumed(defaults | ({"--form": recipe.quantize.form} if network_form is None else {}), quiet)
    for text in dataset.notes:
        note(text, quiet)
    result = compress_run(run, dataset, out, request, progress=progress_for(quiet), cache=cache or default_cache())
    report = audit(out, request.budget, [rule], limits=dict(request.limits), arena=False)
    document = {
        "schema": 1,
        "plan": result.plan.sentence(),
        "stages": [{"name": stage.name, **stage.evaluation} for stage in result.stages],
        "audit": report.to_json(),
    }
    stages = stage_table((stage.name, stage.evaluation) for stage in result.stages)
    show([stages, *verdict_table(report.models[0])], document, form)
    return 0 if report.passed else 1
