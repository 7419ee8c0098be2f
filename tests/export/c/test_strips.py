"""A network in strips gives the integers that it gives as a whole, whatever the plan, and no byte is used twice."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from graph_builder import GraphBuilder, bcresnet, clips
from hypothesis import given, settings
from hypothesis import strategies as st
from one_op import random_int8
from strip_machine import run_in_arena

from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle, plan_of
from edgeasc.export.c.genuine import check_genuine
from edgeasc.export.c.lower import lower
from edgeasc.export.c.memory import lay_out
from edgeasc.export.c.schedule import schedule
from edgeasc.export.c.strip_calls import in_strips
from edgeasc.export.c.strips import Stretch, Unsuitable
from edgeasc.graph.model import LeakyRelu, Pad, PRelu, Regroup, Slice
from edgeasc.graph.reference import run

FORMS = ["int8", "island"]


def windows(form, rows, stride, kernel, seed):
    """A few layers whose windows along frequency are `kernel` rows, over `rows` rows, the first by `stride`."""
    net = GraphBuilder(form, (1, rows, 7), seed)
    x = net.conv("a", "input", 4, (kernel, 3), stride=(stride, 1), relu=True)
    x = net.add("c", x, net.conv("b", x, 4, (kernel, 1), bands=2, depthwise=True))
    x = net.conv("e", net.conv("d", x, 5, (3, 3)), 3, (1, 1))
    return net.graph(net.mean("logits", x, ("F", "T"), keep=False))


@cache
def network(form, kind):
    """A graph, its program, one input and the reference's output."""
    sizes = {"plain": (16, 1, 3), "by two": (16, 2, 5), "wide": (8, 1, 5)}
    graph = bcresnet(form, shape=(1, 32, 14)) if kind == "network" else windows(form, *sizes[kind], seed=3)
    values = clips(graph, 2)
    return graph, lower(graph), values[1], run(graph, values)[graph.output][1].ravel()


def suitable(graph, plan):
    try:
        schedule(graph, plan)
    except Unsuitable:
        return False
    return True


@st.composite
def plans(draw, graph):
    """Stretches in order, some of which drop a tensor that the next computes again."""
    plan, at = (), 0
    for _ in range(draw(st.integers(1, 4))):
        if at >= len(graph.nodes) - 1:
            break
        first = draw(st.integers(at, len(graph.nodes) - 1))
        middle = draw(st.integers(first + 1, min(first + 20, len(graph.nodes))))
        end = draw(st.integers(middle, min(middle + 20, len(graph.nodes))))
        one, other = (draw(st.sampled_from([2, 4, 8, 16])) for _ in range(2))
        names = [node.output for node in graph.nodes[first:middle]]
        dropped = tuple(draw(st.lists(st.sampled_from(names), max_size=2, unique=True)))
        pair = (Stretch(first, middle, one, dropped), *([Stretch(middle, end, other)] if end > middle else []))
        for more in (pair, pair[:1], (Stretch(first, middle, one),)):
            if suitable(graph, (*plan, *more)):
                plan, at = (*plan, *more), more[-1].end
                break
    return plan


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["network", "plain", "by two", "wide"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_plan_gives_the_same_integers(form, kind, data):
    graph, program, values, expected = network(form, kind)
    plan = data.draw(plans(graph))
    found, _ = run_in_arena(graph, plan, values, program)
    assert np.array_equal(found, expected), plan


THREE_TIMES = (
    Stretch(1, 8, 8, ("stage1.0.dw_f.out",)), Stretch(8, 14, 4, ("stage1.1.dw_f.out", "stage1.0.sum.out")),
    Stretch(14, 18, 8),
)  # fmt: skip


def test_what_is_never_stored_is_computed_again_from_the_input():
    graph, program, values, expected = network("island", "network")
    found, _ = run_in_arena(graph, THREE_TIMES, values, program)
    assert np.array_equal(found, expected)
    again = [step.layer for step in in_strips(program, graph, THREE_TIMES).steps if step.function == "ea_conv"]
    assert again.count(1) == 3


@pytest.mark.parametrize("strips", [2, 4, 8, 16])
def test_residual_normalisation_in_strips_needs_one_copy_of_the_tensor(strips):
    graph, program, _, _ = network("int8", "network")
    first, end = (
        next(i for i, n in enumerate(graph.nodes) if n.name == name) for name in ("stage1.norm/mean", "stage1.norm")
    )
    made = in_strips(program, graph, (Stretch(first, end + 1, strips),))
    source, result = graph.nodes[first].inputs[0], graph.nodes[end].output
    layout = lay_out(made)
    assert layout.offsets[source] == layout.offsets[result]


@pytest.mark.parametrize(
    ("stretch", "why"),
    [
        (Stretch(3, 9, 4), "waits for a mean over frequency"),
        (Stretch(1, 4, 3), "rows in 3 strips"),
        (Stretch(1, 4, 4, ("stage1.0.dw_f.out",)), "is not stored"),
        (Stretch(1, 99, 4), "stretch 1 to 99"),
        (Stretch(1, 3, 4, ("nothing",)), "drops what it does not write"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_with_the_reason(stretch, why):
    graph, program, _, _ = network("island", "network")
    with pytest.raises(BadInput, match=why):
        in_strips(program, graph, (stretch,))


def test_a_row_that_padding_makes_taller_is_not_cut():
    net = GraphBuilder("int8", (1, 16, 7), 1)
    x = net.conv("one", net.mean("mean", "input", ("F",)), 3, (1, 1))
    graph = net.graph(x)
    node = replace(graph.nodes[-1], padding=(4, 0, 3, 0))
    tall = replace(graph[x], shape=(1, 3, 8, 7))
    graph = replace(graph, nodes=(graph.nodes[0], node), tensors={**graph.tensors, x: tall})
    with pytest.raises(BadInput, match="do not meet a stride"):
        in_strips(lower(graph), graph, (Stretch(1, 2, 4),))


def test_a_plan_that_drops_the_result_is_refused():
    graph, _, _, _ = network("int8", "plain")
    head = len(graph.nodes) - 1
    tall = replace(graph, nodes=graph.nodes[:head], output=graph.nodes[head - 1].output)
    with pytest.raises(BadInput, match="drops the network's output"):
        in_strips(lower(tall), tall, (Stretch(1, head, 4, (tall.output,)),))


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("form", FORMS)
def test_c_in_strips_equals_the_reference_under_the_sanitisers(compiled, form):
    graph = bcresnet(form, shape=(1, 32, 21))
    first, second, third = (
        next(i for i, node in enumerate(graph.nodes) if node.name == name)
        for name in ("stem", "stage1.0.sum", "stage1.1.skip")
    )
    pool = next(i for i, node in enumerate(graph.nodes) if node.name == "stage1.pool")
    plan = (
        Stretch(first, second, 8, ("stage1.0.dw_f.out",)),
        Stretch(second, third, 4, ("stage1.1.dw_f.out",)),
        Stretch(third, pool + 1, 8),
        Stretch(len(graph.nodes) - 2, len(graph.nodes), 2),
    )
    values = clips(graph, 6)
    text = bundle(graph, plan=plan)
    check_genuine(text)
    assert plan_of(text.facts) == plan and len(text.facts["layers"]) == len(graph.nodes)
    assert np.array_equal(compiled(graph, values, plan), run(graph, values)[graph.output].reshape(6, -1))


def random_plan(graph, seed):
    """Stretches from one end of the graph to the other, each as long and in as many strips as chance will have it."""
    rng, plan, at = np.random.default_rng(seed), (), 0
    while at < len(graph.nodes):
        lengths = rng.permutation(np.arange(1, 24))
        tries = [(Stretch(at, at + int(n), int(s)),) for n in lengths for s in rng.permutation([2, 4, 8, 16])]
        more = next((more for more in tries if suitable(graph, (*plan, *more))), ())
        plan, at = (*plan, *more), more[-1].end if more else at + 1
    return plan


@pytest.mark.slow
@pytest.mark.needs("gcc")
@pytest.mark.parametrize(("form", "seed"), [("int8", 0), ("island", 2)])
def test_c_equals_the_reference_under_plans_by_chance(compiled, form, seed):
    graph = bcresnet(form, shape=(1, 32, 19))
    plan = random_plan(graph, seed)
    assert len(plan) > 5
    values = clips(graph, 4)
    assert np.array_equal(compiled(graph, values, plan), run(graph, values)[graph.output].reshape(4, -1))


@pytest.mark.needs("gcc")
@pytest.mark.slow
def test_slopes_mirrored_frames_and_slices_in_strips_equal_the_reference(compiled):
    net = GraphBuilder("int8", (1, 16, 12), 3)
    slope = np.array([90, -30, 5, 127], np.int8)
    x = net.append(LeakyRelu("leaky", (net.conv("stem", "input", 4, (3, 3)),), "leaky", slope=0.3))
    x = net.append(Pad("pad", (x,), "pad", before=2, after=3))
    x = net.append(PRelu("prelu", (x,), "prelu", slope=slope, slope_scale=np.float32(0.005)))
    x = net.append(Slice("half", (x,), "half", axis="C", start=1, stop=3))
    graph = net.graph(net.append(Slice("late", (x,), "late", axis="T", start=4, stop=15)))
    plan = (Stretch(0, len(graph.nodes), 4, ()),)
    values = random_int8(np.random.default_rng(5), 4, 1, 16, 12)
    expected = run(graph, values)[graph.output].reshape(4, -1)
    assert np.array_equal(compiled(graph, values, plan), expected)
    assert np.array_equal(run_in_arena(graph, plan, values[:1])[0], expected[0])


@pytest.mark.parametrize(("first", "end", "name"), [(0, 1, "sequence"), (1, 3, "image")])
def test_channels_shared_out_anew_are_not_cut(first, end, name):
    net = GraphBuilder("int8", (1, 16, 12), 3)
    x = net.append(Regroup("sequence", ("input",), "sequence", channels=16))
    x = net.append(Regroup("image", (x,), "image", channels=1))
    graph = net.graph(net.conv("stem", x, 4, (3, 3)))
    with pytest.raises(Unsuitable, match=f"{name} shares rows"):
        schedule(graph, (Stretch(first, end, 4, ()),))
