"""`edgeasc targets`."""

from __future__ import annotations

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import format_option, show


@click.command("targets", cls=Verb)
@click.argument("name", required=False)
@format_option
def command(name: str | None, form: str, quiet: bool) -> None:
    """List the chips that a model can be audited for, or describe one of them.

    A target stands for a core and names the chip whose flash, RAM and clock it has. It says which operators run there,
    what its cycles cost, and which published latencies that rests on.

    \b
      edgeasc targets
      edgeasc targets cortex-m4
      edgeasc audit model.tflite --target cortex-m4@80MHz
    """
    from edgeasc.audit.target_report import describe, listing
    from edgeasc.audit.targets import read_target, target_names

    targets = [read_target(item) for item in ([name] if name else target_names())]
    blocks = describe(targets[0]) if name else [listing(targets)]
    show(blocks, {"schema": 1, "targets": [target.model_dump(mode="json") for target in targets]}, form)
