"""Tensors needed at the same time never share a byte of the arena, and it is as small as their lives allow."""

from itertools import combinations

import numpy as np
import pytest
from graph_builder import bcresnet
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.export.c.lower import lower
from edgeasc.export.c.memory import ALIGNMENT, lay_out, lifetimes, share_in_place
from edgeasc.export.c.program import Port, Program, Step


def chain(sizes, reads, in_place):
    """A program in which step i reads the tensors `reads[i]` of all written before it."""
    names = [f"t{index}" for index in range(len(sizes))]
    steps = []
    for index in range(1, len(names)):
        chosen = tuple(names[place % index] for place in reads[index])
        steps.append(
            Step(f"s{index}", "op", "k", "f", chosen, names[index], "", in_place=(0,) if in_place[index] else ())
        )
    port = [Port(names[place], (1, sizes[place]), 1.0, 0) for place in (0, -1)]
    return Program("int8", port[0], port[1], tuple(steps), dict(zip(names, sizes, strict=True)))


programs = st.integers(2, 9).flatmap(
    lambda n: st.builds(
        chain,
        st.lists(st.integers(1, 100), min_size=n, max_size=n),
        st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=3), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
    )
)


def needed(program):
    """First and last step at which each tensor holds what somebody still reads."""
    first = {program.input.tensor: -1} | {step.writes: index for index, step in enumerate(program.steps)}
    last = dict(first)
    for index, step in enumerate(program.steps):
        last |= dict.fromkeys(step.reads, index)
    last[program.output.tensor] = len(program.steps)
    return {name: (first[name], last[name]) for name in first}


@given(programs)
def test_tensors_needed_at_once_do_not_overlap(program):
    layout, times = lay_out(program), needed(program)
    for one, other in combinations(times, 2):
        a, b = layout.offsets[one], layout.offsets[other]
        apart = a + program.sizes[one] <= b or b + program.sizes[other] <= a
        together = times[one][0] < times[other][1] and times[other][0] < times[one][1]
        assert apart or not together


@given(programs)
def test_a_step_that_may_not_work_in_place_writes_beside_what_it_reads(program):
    offsets = lay_out(program).offsets
    for step in program.steps:
        for place, name in enumerate(step.reads):
            if place not in step.in_place and name not in [step.reads[i] for i in step.in_place]:
                a, b = offsets[name], offsets[step.writes]
                assert a + program.sizes[name] <= b or b + program.sizes[step.writes] <= a


@given(programs)
def test_the_arena_holds_every_tensor_aligned_and_is_no_smaller_than_what_lives(program):
    layout = lay_out(program)
    assert all(offset % ALIGNMENT == 0 for offset in layout.offsets.values())
    assert max(layout.offsets[name] + size for name, size in program.sizes.items()) <= layout.arena_bytes
    assert layout.live_bytes <= layout.arena_bytes


@pytest.mark.parametrize("form", ["int8", "island"])
def test_the_arena_of_a_network_is_what_lives_at_once(form):
    layout = lay_out(lower(bcresnet(form)))
    assert layout.arena_bytes == layout.live_bytes


def test_working_in_place_saves_the_second_copy():
    sizes, reads = [64, 64, 8], [[0], [0], [1]]
    beside, inside = (lay_out(chain(sizes, reads, [flag] * 3)).arena_bytes for flag in (False, True))
    assert (beside, inside) == (128, 64)


def test_what_is_read_later_is_not_overwritten():
    program = chain([64, 64, 64], [[0], [0], [0, 1]], [True, True, True])
    block = share_in_place(program)
    assert block["t1"] == "t1" and len(lifetimes(program, block)) == 2
    assert np.prod(program.input.shape) == 64
