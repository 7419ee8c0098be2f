"""The package as it is installed: every room is listed, and the recipes and calibration sets come with it."""

import configparser
import importlib
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgeasc
from edgeasc.extras import BASE, EXTRA_OF, missing

ROOT = Path(__file__).parents[1]


def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def words(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_every_room_is_listed_in_setup_cfg() -> None:
    listed = {name for name in words(settings()["options"]["packages"]) if name.startswith("edgeasc.")}
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "edgeasc").glob("**/__init__.py")}
    assert listed == {".".join(room.parts) for room in rooms} - {"edgeasc"}


def test_every_data_file_of_the_package_is_covered() -> None:
    patterns = words(settings()["options.package_data"]["edgeasc"])
    suffixes = {pattern.rsplit("*", 1)[-1] for pattern in patterns if "*" in pattern} | {".py", ".pyc"}
    files = [path for path in (ROOT / "edgeasc").rglob("*") if path.is_file() and path.name not in patterns]
    assert not [path for path in files if path.suffix not in suffixes]


def test_recipes_are_found_whether_installed_or_not() -> None:
    from edgeasc.recipes import list_recipes, load_recipe

    assert {"bcresnet-mod-1", "scenes-demo"} <= set(list_recipes())
    assert load_recipe("bcresnet-mod-1").model.name == "bcresnet-mod-1"


def test_an_installed_package_has_the_files_of_models_and_calibration() -> None:
    try:
        distribution = metadata.distribution("edgeasc")
    except metadata.PackageNotFoundError:
        pytest.skip("edgeasc is not installed here: pip install -e .")
    assert {"LICENSE", "NOTICE"} <= set(distribution.metadata.get_all("License-File", []))
    for folder in ("models", "calibration"):
        spec = find_spec(f"edgeasc_{folder}")
        assert spec is not None
        places = [Path(place) for place in spec.submodule_search_locations or () if Path(place).is_dir()]
        wanted = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert wanted
        assert all(any((place / path).is_file() for place in places) for path in wanted)


def test_the_version_is_the_installed_one() -> None:
    try:
        assert metadata.version("edgeasc") == edgeasc.__version__
    except metadata.PackageNotFoundError:
        pytest.skip("edgeasc is not installed here: pip install -e .")


def test_public_names_are_what_all_says() -> None:
    program = "import edgeasc, sys; assert 'numpy' not in sys.modules; print(edgeasc.audit, callable(edgeasc.audit))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("True")
    assert all(hasattr(edgeasc, name) for name in edgeasc.__all__)
    with pytest.raises(AttributeError):
        _ = edgeasc.nothing


def test_every_dependency_of_an_extra_has_its_install_command() -> None:
    extras = set(settings()["options.extras_require"])
    assert set(EXTRA_OF.values()) <= extras
    for module in (*BASE, *EXTRA_OF):
        assert "pip install" in str(missing(module))
    assert missing("edgeasc.cli") is None


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all("==" in line for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    needed = words(settings()["options"]["install_requires"])
    for extra in settings()["options.extras_require"].values():
        needed += words(extra)
    names = {word.split(">")[0].split("<")[0].split("[")[0].strip().lower() for word in needed}
    assert names - {"edgeasc"} <= pinned


def test_the_room_audit_can_be_called_and_is_still_a_room() -> None:
    room = importlib.import_module("edgeasc.audit")
    assert callable(edgeasc.audit)
    assert edgeasc.audit is room
    assert callable(room.audit)
