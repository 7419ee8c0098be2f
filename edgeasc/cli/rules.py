"""`edgeasc rules`."""

from __future__ import annotations

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import format_option, show


@click.command("rules", cls=Verb)
@click.argument("name", required=False)
@format_option
def command(name: str | None, form: str, quiet: bool) -> None:
    """List the counting rules, or explain one of them.

    A rule says which numbers of a network count, at how many bits, what a kilobyte is, and how much may be.

    \b
      edgeasc rules
      edgeasc rules dcase2025
      edgeasc rules path/to/my.toml
    """
    from edgeasc.audit.rule_text import explain, listing
    from edgeasc.audit.rules import read_rule, rule_names

    rules = [read_rule(item) for item in ([name] if name else rule_names())]
    blocks = explain(rules[0]) if name else [listing(rules)]
    show(blocks, {"schema": 1, "rules": [rule.model_dump(mode="json") for rule in rules]}, form)
