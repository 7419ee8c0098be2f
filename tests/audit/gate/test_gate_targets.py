"""Limits about chips: whether a model runs there, how long by estimate or measurement; and forbidden findings."""

from pathlib import Path

import numpy as np
import pytest
from gate_toys import EXAMPLE, SCENE, bench, checks, only, repository

import edgeasc
from edgeasc.audit.gate.run import check
from edgeasc.errors import UsageError
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor

AUDIT = edgeasc.audit(EXAMPLE / SCENE, targets=["cortex-m4"], arena=False).models[0]


def band() -> tuple[float, float, float]:
    """Low, typical and high latency on the Cortex-M4 in microseconds."""
    found = AUDIT.targets[0].latency_ms
    assert found is not None
    return 1e3 * found.low, 1e3 * found.typical, 1e3 * found.high


def test_an_estimate_is_judged_by_its_typical_end_and_tight_below_its_high_one(tmp_path: Path) -> None:
    _, typical, high = band()
    for limit, status in ((0.9 * typical, "fail"), (1.1 * typical, "tight"), (1.1 * high, "pass")):
        path = repository(tmp_path, f'latency = {{ cortex-m4 = "{limit:.3f} us" }}')
        (found,) = checks(path).values()
        assert (found.status, found.origin) == (status, "estimated")
        assert found.value == pytest.approx(typical)


def test_an_estimate_may_be_judged_by_its_high_end(tmp_path: Path) -> None:
    _, typical, high = band()
    limits = f'latency = {{ cortex-m4 = "{1.1 * typical:.3f} us" }}'
    (found,) = checks(repository(tmp_path, limits, 'estimates = "high"')).values()
    assert (found.status, found.value) == ("fail", pytest.approx(high))


def test_the_band_is_told_with_the_estimate(tmp_path: Path) -> None:
    (found,) = checks(repository(tmp_path, 'latency = { cortex-m4 = "1 us" }')).values()
    assert found.detail.endswith("ms on cortex-m4")
    assert found.detail.count("..") == 2


def test_a_measurement_takes_the_place_of_an_estimate(tmp_path: Path) -> None:
    path = repository(tmp_path, 'latency = { cortex-m4 = "5 ms" }')
    bench(tmp_path, {"median_us": 4321.0, "runtime": "tflm"}, target="cortex-m4")
    (found,) = checks(path).values()
    assert (found.value, found.origin) == (4321.0, "measured")


def test_a_clock_of_ones_own_is_taken(tmp_path: Path) -> None:
    limits = 'latency = { "cortex-m4@60MHz" = "1 s", "cortex-m4@120MHz" = "1 s" }'
    found = checks(repository(tmp_path, limits))
    slow, fast = (found[f"latency cortex-m4@{clock}MHz"].value for clock in (60, 120))
    assert slow is not None
    assert fast is not None
    assert slow == pytest.approx(2 * fast)


def test_a_target_that_nobody_knows_is_not_known_and_the_nearest_named(tmp_path: Path) -> None:
    (found,) = checks(repository(tmp_path, 'latency = { cortex-m44 = "1 s" }')).values()
    assert (found.status, "did you mean 'cortex-m4'" in found.why) == ("unknown", True)


def test_a_target_with_room_and_operators_holds(tmp_path: Path) -> None:
    (found,) = checks(repository(tmp_path, 'targets = ["cortex-m4"]')).values()
    assert AUDIT.targets[0].passed
    assert (found.name, found.status) == ("target cortex-m4", "pass")


def test_a_target_without_room_fails_with_its_reasons(tmp_path: Path) -> None:
    path = repository(tmp_path, 'targets = ["cortex-m0plus"]')
    model, byte = Model(), np.dtype(np.int8)
    source, result = (model.add_tensor(Tensor(name, (1, 1000, 1000), byte, np.float32(1))) for name in ("in", "out"))
    model.operators.append(Operator("RELU", 1, (source,), (result,)))
    model.inputs, model.outputs = [source], [result]
    (tmp_path / SCENE).write_bytes(model.to_bytes())
    (found,) = checks(path).values()
    assert (found.status, found.detail) == ("fail", "RAM too small")


@pytest.mark.parametrize(
    ("limits", "entry", "wanted"),
    [
        ('targets = ["cortex-m5"]', "", "did you mean 'cortex-m"),
        ("", 'forbid = ["W3001"]', "did you mean 'W30"),
    ],
)
def test_an_unknown_target_or_finding_is_refused(tmp_path: Path, limits: str, entry: str, wanted: str) -> None:
    with pytest.raises(UsageError, match=wanted):
        check(repository(tmp_path, limits, entry=entry))


def test_a_forbidden_finding_fails_and_names_its_layer(tmp_path: Path) -> None:
    here = {item.code: item for item in AUDIT.findings}
    assert here, "the example has something to find"
    code, finding = next(iter(here.items()))
    model = only(check(repository(tmp_path, entry=f'forbid = ["{code}", "W101"]')))
    found = {item.name: item for item in model.checks}
    assert (found[code].status, found[code].layer) == ("fail", finding.layer)
    assert finding.message in found[code].detail
    assert found["W101"].passed is ("W101" not in here)
