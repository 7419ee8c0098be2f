"""Bench files: a measurement of this very file on this very target takes the place of the estimate."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeasc.audit import audit
from edgeasc.errors import BadInput


def sha(path: Path) -> str:
    return audit(path, arena=False).models[0].sha256


def bench(folder: Path, document: Any) -> Path:
    path = folder / "bench.json"
    path.write_text(json.dumps(document))
    return path


def row(artefacts: Path, **more: Any) -> dict[str, Any]:
    measured = {"sha256": sha(artefacts / "int8.tflite"), "target": "cortex-m4", "runtime": "tflm"}
    return {"schema": 1, **measured, "origin": "measured", "median_us": 41_000, **more}


def latency(artefacts: Path, *files: Path, target: str = "cortex-m4") -> Any:
    report = audit(artefacts / "int8.tflite", arena=False, targets=[target], bench=files)
    return report.models[0].targets[0]


def test_a_measurement_takes_the_place_of_the_estimate(artefacts: Path, tmp_path: Path) -> None:
    found = latency(artefacts, bench(tmp_path, row(artefacts)))
    assert (found.latency_ms.origin, found.latency_ms.typical) == ("measured", 41.0)
    assert "tflm, bench.json" in found.latency_ms.basis
    assert found.energy_mj.origin == "estimated"


def test_a_measured_energy_takes_the_place_of_the_estimate(artefacts: Path, tmp_path: Path) -> None:
    found = latency(artefacts, bench(tmp_path, row(artefacts, energy_mj=1.7, p90_us=43_000)))
    assert (found.energy_mj.origin, found.energy_mj.typical) == ("measured", 1.7)
    assert found.latency_ms.high == 43.0


def test_the_document_of_many_results_is_read_and_the_last_one_holds(artefacts: Path, tmp_path: Path) -> None:
    rows = [row(artefacts, median_us=1), row(artefacts, median_us=7_000), {"origin": None, "error": "no such board"}]
    assert latency(artefacts, bench(tmp_path, {"schema": 1, "results": rows})).latency_ms.typical == 7.0


def test_a_measurement_at_another_clock_is_of_another_target(artefacts: Path, tmp_path: Path) -> None:
    path = bench(tmp_path, row(artefacts))
    with pytest.raises(BadInput, match="cortex-m4"):
        latency(artefacts, path, target="cortex-m4@80MHz")


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"target": "cortex-m7"}])
def test_a_bench_file_about_something_else_is_refused(artefacts: Path, tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="none of these artefacts"):
        latency(artefacts, bench(tmp_path, row(artefacts, **change)))


@pytest.mark.parametrize(
    "change",
    [
        {"median_us": "fast"},
        {"median_us": -1},
        {"median_us": 0},
        {"median_us": float("nan")},
        {"median_us": True},
        {"p90_us": "x"},
        {"energy_mj": -2},
        {"sha256": ""},
        {"target": 7},
        {"schema": 2},
    ],
)
def test_numbers_that_are_none_are_refused(artefacts: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="bench"):
        latency(artefacts, bench(tmp_path, row(artefacts, **change)))


@pytest.mark.parametrize("document", [[], "text", {"schema": 1, "results": 3}, {"schema": 1, "results": []}, {}])
def test_what_is_no_bench_result_is_refused(artefacts: Path, tmp_path: Path, document: Any) -> None:
    with pytest.raises(BadInput, match="bench"):
        latency(artefacts, bench(tmp_path, document))


def test_emulated_instructions_are_no_latency(artefacts: Path, tmp_path: Path) -> None:
    emulated = row(artefacts) | {"origin": "emulated", "instructions": 1_000_000}
    with pytest.raises(BadInput, match="no latency"):
        latency(artefacts, bench(tmp_path, emulated))
