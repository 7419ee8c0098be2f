"""`edgeasc models`."""

from __future__ import annotations

from textwrap import fill

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import format_option, show
from edgeasc.tables import Table


@click.command("models", cls=Verb, short_help="List recipes, or show one with its card.")
@click.argument("name", required=False)
@click.option("--card", is_flag=True, help="With NAME: its card (source, input, counts, limits) instead.")
@format_option
def command(name: str | None, card: bool, form: str, quiet: bool) -> None:
    """List the recipes that `edgeasc train` knows by name and the networks they may use; or show one recipe.

    \b
      edgeasc models
      edgeasc models bcresnet-mod-1 --card
      edgeasc models bcresnet-mod-1 > mine.toml
    """
    from edgeasc.files import read_bytes
    from edgeasc.nn.registry import list_models
    from edgeasc.recipes import list_recipes, load_recipe, recipe_path

    names = [name] if name else list_recipes()
    recipes = {item: load_recipe(item) for item in names}
    document = {
        "schema": 1,
        "networks": list_models(),
        "recipes": {item: recipe.model_dump(mode="json") for item, recipe in recipes.items()},
    }
    if name:
        path = recipe_path(name).with_name("card.md") if card else recipe_path(name)
        show([read_bytes(path, "recipe").decode(errors="replace").strip()], document, form)
        return
    rows = [
        (
            item,
            recipe.model.name,
            f"{recipe.features.n_mels} x {recipe.n_frames}",
            f"{recipe.data.clip_seconds:.3g} s",
            recipe.train.length,
        )
        for item, recipe in recipes.items()
    ]
    headings = ("recipe", "network", ">mels x frames", ">clip", ">training")
    networks = fill("Networks: " + ", ".join(list_models()), 80, break_on_hyphens=False)
    show([Table(headings, rows), networks], document, form)
