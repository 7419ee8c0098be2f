"""`edgeasc rules`."""

from __future__ import annotations

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import format_option, show
from edgeasc.tables import Block, Table


@click.command("rules", cls=Verb)
@click.argument("name", required=False)
@format_option
def command(name: str | None, form: str, quiet: bool) -> None:
    """List the counting rules, or explain one of them.

    A rule says which numbers of a network count, at how many bits, and what a kilobyte is.

    \b
      edgeasc rules
      edgeasc rules qti-report
    """
    from edgeasc.audit.rules import Rule, read_rule, rule_names

    def describe(rule: Rule) -> list[Block]:
        head = f"{rule.name}: {rule.title}\nSource: {rule.source}\nCounts the {_FORMS[rule.form]}; prints {rule.unit}."
        rows = [(line.label, ", ".join(line.kinds), line.of, str(line.bits or "own")) for line in rule.count]
        return [head, Table(("counted", "tensors", "which", ">bits"), rows), rule.explanation.strip()]

    rules = [read_rule(item) for item in ([name] if name else rule_names())]
    blocks = describe(rules[0]) if name else [_listing([(rule.name, rule.form, rule.title) for rule in rules])]
    show(blocks, {"schema": 1, "rules": [rule.model_dump(mode="json") for rule in rules]}, form)


_FORMS = {
    "training": "network as trained, from a run folder's inventory",
    "deployed": "deployed file itself",
}


def _listing(rows: list[tuple[str, str, str]]) -> Block:
    return Table(("rule", "counts", "what it is"), rows)
