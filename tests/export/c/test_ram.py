"""A limit of RAM is kept by strips, or refused with the smallest figure that is possible; the integers stay."""

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from graph_builder import bcresnet, clips
from strip_machine import run_in_arena

from edgeasc.cli import main
from edgeasc.errors import BadInput, CheckFailed
from edgeasc.export.c.bundle import bundle, plan_of
from edgeasc.export.c.lower import lower
from edgeasc.export.c.memory import lay_out
from edgeasc.export.c.ram import plan_for
from edgeasc.export.c.strip_calls import in_strips
from edgeasc.export.verify import verify_folder
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import run
from edgeasc.specs import LogMel


@cache
def network(form):
    graph = bcresnet(form, c=12, shape=(1, 32, 20))
    program = lower(graph)
    return graph, program, lay_out(program).arena_bytes


@pytest.mark.parametrize(("form", "share"), [("int8", 0.6), ("island", 0.8), ("island", 0.6)])
def test_a_limit_is_kept_and_the_integers_stay(form, share):
    graph, program, whole = network(form)
    limit = int(whole * share)
    plan = plan_for(graph, program, limit)
    values = clips(graph, 2)[1]
    found, arena = run_in_arena(graph, plan, values, program)
    assert plan and arena <= limit
    assert np.array_equal(found, run(graph, values[None])[graph.output].ravel())


def test_where_the_whole_network_fits_nothing_is_cut():
    graph, program, whole = network("island")
    assert plan_for(graph, program, whole) == ()
    assert bundle(graph, ram=whole).files == bundle(graph).files


def test_what_is_impossible_is_refused_with_a_figure_that_is_possible():
    graph, program, whole = network("island")
    with pytest.raises(CheckFailed, match=r"the arena needs at least [\d,]+ B, 640 B are allowed") as refused:
        plan_for(graph, program, 640)
    least = int(re.search(r"at least ([\d,]+)", str(refused.value))[1].replace(",", ""))
    plan = plan_for(graph, program, least)
    assert 640 < lay_out(in_strips(program, graph, plan)).arena_bytes <= least < 0.6 * whole


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(network("island")[0]))
    return tmp_path / "model.onnx"


@pytest.mark.needs("gcc")
def test_an_exported_folder_keeps_the_limit_and_is_verified(model, tmp_path):
    limit = int(network("island")[2] * 0.6)
    out = tmp_path / "out"
    assert main(["export", str(model), "--onnx", "--c", "--ram", str(limit), "--clips", "8", "--out", str(out)]) == 0
    facts = json.loads((out / "c" / "model.json").read_text())
    assert facts["arena_bytes"] <= limit < facts["whole_arena_bytes"]
    assert verify_folder(out)["passed"]


@pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_strips_on_an_emulated_core_equal_the_reference(model, capsys, core):
    limit = int(network("island")[2] * 0.6)
    arguments = ["bench", str(model), "--target", f"qemu:{core}", "--ram", str(limit), "--format", "json"]
    assert main(arguments) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["equal"] == row["runs"] == 3 and row["arena_bytes"] <= limit


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["export", "--c", "--ram", "640"], 1, "the arena needs at least"),
        (["export", "--ram", "64KiB"], 2, "is about C; add --c"),
        (["export", "--c", "--ram", "64 apples"], 2, "is not a size"),
        (["bench", "--ram", "64KiB"], 2, "needs a qemu: or native-c target"),
    ],
)
def test_limits_that_cannot_be_kept_are_one_line(model, tmp_path, capsys, arguments, code, why):
    command, *options = arguments
    options += ["--out", str(tmp_path / "out")] if command == "export" else []
    assert main([command, str(model), *options]) == code
    assert why in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_front_end_that_needs_more_is_named():
    spec = LogMel(sample_rate=16000, n_fft=1024, win_length=960, hop_length=480, n_mels=32, f_min=50.0, f_max=7600.0)
    graph = bcresnet("island")
    heard = replace(graph, metadata={"edgeasc.features": spec.model_dump_json()})
    limit = lay_out(lower(graph)).arena_bytes
    assert bundle(heard, ram=limit, front_end=False).facts["arena_bytes"] <= limit
    with pytest.raises(CheckFailed, match=r"the front end works in 4,\d\d\d B of the arena"):
        bundle(heard, ram=limit)


@pytest.mark.parametrize(
    "strips", [5, [5], [{}], [{"first": 0, "end": 2, "strips": "x", "dropped": []}], [{"first": 1, "end": None}]]
)
def test_a_plan_that_is_none_is_refused(strips):
    with pytest.raises(BadInput, match="is no plan"):
        plan_of({"strips": strips})


@pytest.mark.parametrize("strips", [-4, 0, 1, 10**30])
def test_a_hostile_number_of_strips_is_refused(strips):
    graph = network("island")[0]
    with pytest.raises(BadInput, match="the plan for RAM does not fit"):
        bundle(graph, plan=plan_of({"strips": [{"first": 1, "end": 4, "strips": strips, "dropped": []}]}))


def test_nodes_that_nobody_reads_are_left_out():
    graph, _, whole = network("int8")
    node = next(graph.convs())
    idle = replace(graph, nodes=(*graph.nodes, replace(node, name="idle", output="idle")))
    idle = replace(idle, tensors=graph.tensors | {"idle": replace(graph[node.output], name="idle")})
    for limit in (None, int(whole * 0.6)):
        assert bundle(idle, ram=limit).files == bundle(graph, ram=limit).files
