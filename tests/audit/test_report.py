"""The report: its JSON shape is fixed, its text names both units and marks the worst layers."""

import json
from pathlib import Path

from edgeasc.audit import audit
from edgeasc.audit.report import report_blocks
from edgeasc.tables import as_markdown, as_text

MODEL_KEYS = {
    "path",
    "format",
    "sha256",
    "file_bytes",
    "gzip_bytes",
    "ends",
    "counted_by",
    "parameters",
    "stored",
    "macs",
    "peak_activation_bytes",
    "peak_layer",
    "layers",
    "operators",
    "uncounted",
    "metadata",
    "rules",
    "limits",
    "notes",
    "best_peak_bytes",
    "best_peak_exact",
    "best_order",
    "unknown",
    "has_operators",
    "targets",
    "findings",
    "passed",
}
LAYER_KEYS = {"name", "op", "output_shape", "parameters", "nonzero", "bytes", "macs", "activation_bytes"}


def test_json_keeps_the_shape_of_schema_1(artefacts: Path) -> None:
    document = json.loads(json.dumps(audit(artefacts / "int8.tflite", "1KiB").to_json()))
    assert (set(document), document["schema"]) == ({"schema", "models", "passed"}, 1)
    model = document["models"][0]
    assert set(model) == MODEL_KEYS
    assert set(model["layers"][0]) == LAYER_KEYS
    assert set(model["parameters"]) == {"total", "nonzero", "nonzero_bytes", "bytes"}
    assert set(model["limits"][0]) == {"name", "limit", "value", "passed"}


def test_totals_of_the_layers_are_the_totals_of_the_model(artefacts: Path) -> None:
    model = audit(artefacts / "int8.onnx", arena=False).models[0]
    assert sum(layer.parameters for layer in model.layers) == model.parameters.total
    assert sum(layer.nonzero for layer in model.layers) == model.parameters.nonzero
    assert sum(layer.bytes for layer in model.layers) == model.parameters.nonzero_bytes
    assert sum(layer.macs for layer in model.layers) == model.macs
    assert max(layer.activation_bytes for layer in model.layers) == model.peak_activation_bytes


def test_text_names_both_units_and_the_verdict(artefacts: Path) -> None:
    text = as_text(report_blocks(audit(artefacts / "int8.tflite", 10, arena=False)))
    assert "KiB" in text
    assert "kB" in text
    assert "Verdict   FAIL: deployed bytes" in text


def test_three_layers_are_marked_in_every_column(artefacts: Path) -> None:
    text = as_text(report_blocks(audit(artefacts / "int8.tflite", arena=False)))
    table = text.split("Layers")[1].split("\n\n")[0].splitlines()[1:]
    assert sum(line.count("^") for line in table) == 9


def test_markdown_rows_have_as_many_cells_as_their_heading(artefacts: Path) -> None:
    page = as_markdown(report_blocks(audit(artefacts / "int8.tflite", 10, arena=False)))
    tables = [part.splitlines() for part in page.split("\n\n") if part.startswith("|")]
    assert len(tables) >= 4
    for lines in tables:
        assert len({line.count("|") - line.count("\\|") for line in lines}) == 1


def test_several_models_end_with_a_table_of_all(artefacts: Path) -> None:
    blocks = report_blocks(audit([artefacts / "int8.tflite", artefacts / "int8.onnx"], arena=False))
    assert as_text(blocks[-1:]).startswith("Together")
