"""Where recipes come from: the shipped ones by name, a user's by path."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgeasc.errors import UsageError
from edgeasc.specs import Recipe, nearest, parse_spec, read_toml, with_settings


def models_folder() -> Path:
    """The folder of shipped recipes and cards: `models/` of a checkout, the package `edgeasc_models` of a wheel."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "setup.cfg").is_file() and (checkout / "models").is_dir():
        return checkout / "models"
    found = importlib.util.find_spec("edgeasc_models")
    for place in (found.submodule_search_locations or ()) if found else ():
        return Path(place)
    raise UsageError("recipe", "the shipped recipes are not installed; give a TOML file")


def list_recipes() -> list[str]:
    """Names of the shipped recipes, sorted."""
    return sorted(path.parent.name for path in models_folder().glob("*/recipe.toml"))


def recipe_path(name: str) -> Path:
    """The TOML file meant by `name`: a shipped recipe, or a path (something with a slash or `.toml`).

    Raises:
        UsageError: neither, with the nearest shipped name.
    """
    path = Path(name)
    if path.suffix == ".toml" or len(path.parts) > 1:
        return path
    known = list_recipes()
    if name not in known:
        hint = nearest(name, known) or f"; shipped are {', '.join(known)}, or give a TOML file"
        raise UsageError("recipe", f"unknown recipe {name!r}{hint}")
    return models_folder() / name / "recipe.toml"


def load_recipe(name: str, settings: tuple[str, ...] = ()) -> Recipe:
    """The recipe called `name` or in the file `name`, with `section.key=value` settings put in.

    Raises:
        UsageError: unknown name, key or value, or a number of epochs for a recipe that counts iterations.
        BadInput: the file cannot be read.
    """
    path = recipe_path(name)
    recipe = parse_spec(Recipe, with_settings(read_toml(path, "recipe"), settings), path)
    if recipe.train.iterations and any(setting.partition("=")[0].strip() == "train.epochs" for setting in settings):
        why = "would change nothing, the recipe counts iterations; set train.iterations instead, or also to 0"
        raise UsageError("--set", f"train.epochs {why}")
    return recipe
