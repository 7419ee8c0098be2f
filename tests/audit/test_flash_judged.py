"""Flash as C: constants to the byte, a limit on it judged for a folder and for an ONNX, unknown without C."""

import pytest
from graph_builder import bcresnet

from edgeasc.audit import audit
from edgeasc.audit.gate.run import check
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.c.flash import code_bytes
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.onnx_write import onnx_bytes


@pytest.fixture
def flash(tmp_path):
    """An ONNX file, its C folder, and the flash that the C takes."""
    graph = bcresnet("int8")
    text = bundle(graph)
    write_bundle(text, tmp_path / "c")
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(graph))
    (tmp_path / "x.tflite").write_bytes(tflite_bytes(graph))
    return text.facts["constant_bytes"] + code_bytes(text.files, len(text.facts["layers"]))


@pytest.mark.parametrize("name", ["c", "x.onnx"])
def test_the_limit_is_judged_to_the_byte(tmp_path, flash, name):
    for limit, passed in ((flash, True), (flash - 1, False)):
        (found,) = audit(tmp_path / name, limits={"flash": limit}, arena=False).models
        assert found.flash.bytes == flash and found.passed is passed
        assert found.limits[-1].name == "flash" and found.limits[-1].value == flash


def test_the_estimate_says_so_in_the_document(tmp_path, flash):
    document = audit(tmp_path / "c", limits={"flash": 10**6}, arena=False).to_json()
    (target,) = document["models"][0]["targets"]
    assert target["origin"] == "estimated" and target["flash_bytes"] == flash and "constants" in target["why"]


def test_what_was_not_asked_for_is_not_in_the_document(tmp_path, flash):
    document = audit(tmp_path / "c", arena=False).to_json()
    assert document["models"][0]["targets"] == [] and "flash" not in document["models"][0]


def test_a_file_without_c_has_no_flash_to_judge(tmp_path, flash):
    with pytest.raises(BadInput, match=r"flash is not known: a tflite file has no C"):
        audit(tmp_path / "x.tflite", limits={"flash": 10**6}, arena=False)


def test_the_gate_judges_flash_and_does_not_pass_what_it_cannot_know(tmp_path, flash):
    limits = "".join(
        f'[[models]]\npath = "{name}"\n[models.limits]\nflash = {limit}\n'
        for name, limit in (("x.onnx", flash), ("x.tflite", 10**6))
    )
    (tmp_path / "edgeasc.toml").write_text(limits)
    report = check(tmp_path / "edgeasc.toml")
    verdicts = {model.path.rpartition("/")[2]: model.checks[0].passed for model in report.models}
    assert verdicts == {"x.onnx": True, "x.tflite": False}
