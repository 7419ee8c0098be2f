"""The build hash follows what computes, and nothing else."""

from dataclasses import replace

import pytest
from graph_builder import bcresnet

import edgeasc
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.identity import build_hash
from edgeasc.export.dummy import dummy_graph


def test_the_header_carries_the_hash_of_its_own_folder():
    files = bundle(bcresnet("int8")).files
    assert f'#define SCENE_BUILD "{build_hash(files)}"' in files["scene.h"]


def test_the_hash_does_not_hang_on_the_version_that_wrote_the_files(monkeypatch):
    before = build_hash(bundle(dummy_graph()).files)
    monkeypatch.setattr(edgeasc, "__version__", "99.0.1")
    assert build_hash(bundle(dummy_graph()).files) == before


@pytest.mark.parametrize("name", ["weights.c", "scene.c", "scene.h", "ea_kernels.h"])
def test_a_change_of_what_is_compiled_changes_the_hash(name):
    files = bundle(dummy_graph()).files
    assert build_hash({**files, name: files[name] + "\n"}) != build_hash(files)


def test_the_program_for_the_host_and_build_files_are_no_part_of_it():
    files = bundle(dummy_graph()).files
    others = {**files, "scene_host.c": "", "Makefile": "", "README.md": "x"}
    assert build_hash(others) == build_hash(files)


def test_other_labels_are_another_build():
    graph = dummy_graph()
    named = replace(
        graph, metadata={"edgeasc.labels": str([f"c{i}" for i in range(graph[graph.output].size)]).replace("'", '"')}
    )
    assert build_hash(bundle(named).files) != build_hash(bundle(graph).files)
