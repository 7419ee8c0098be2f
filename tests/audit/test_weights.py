"""Weights without a graph: counted by name, and every damaged header refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeasc.audit import audit
from edgeasc.audit.document import ModelAudit
from edgeasc.errors import BadInput
from edgeasc.runs import Run, RunInfo
from edgeasc.specs import ModelSpec, Recipe


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """The format, written by hand."""
    header: dict[str, Any] = {"__metadata__": {"made": "here"}}
    content = b""
    kinds = {"float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8"}
    for name, values in tensors.items():
        start, content = len(content), content + values.tobytes()
        header[name] = {
            "dtype": kinds[str(values.dtype)],
            "shape": list(values.shape),
            "data_offsets": [start, len(content)],
        }
    return with_header(header, content)


def with_header(header: Any, content: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


NETWORK = {
    "conv.weight": np.array([[0, 1, 2], [0, 0, -0.0]], np.float32),
    "conv.bias": np.array([1, 0], np.float32),
    "norm.weight": np.ones(2, np.float16),
    "norm.bias": np.zeros(2, np.float16),
    "norm.running_mean": np.ones(2, np.float32),
    "norm.running_var": np.ones(2, np.float32),
    "norm.num_batches_tracked": np.array(7, np.int64),
}


def audited(folder: Path, payload: bytes, *rules: str) -> ModelAudit:
    path = folder / "model.safetensors"
    path.write_bytes(payload)
    return audit(path, rules=rules, arena=False).models[0]


def test_weights_biases_and_norms_count_at_their_width(tmp_path: Path) -> None:
    found = audited(tmp_path, safetensors(NETWORK)).parameters
    assert (found.total, found.nonzero) == (6 + 2 + 2 + 2, 2 + 1 + 2 + 0)
    assert found.nonzero_bytes == 4 * 3 + 2 * 2


def test_running_statistics_count_under_the_rule_that_counts_them(tmp_path: Path) -> None:
    sizes = {
        rule.name: rule.bytes for rule in audited(tmp_path, safetensors(NETWORK), "dcase2020-1b", "dcase2021-1a").rules
    }
    assert sizes == {"dcase2020-1b": 4 * 3, "dcase2021-1a": 4 * 3 + 2 * 2 + 4 * 4}


def test_one_row_per_module(tmp_path: Path) -> None:
    rows = {layer.name: layer.parameters for layer in audited(tmp_path, safetensors(NETWORK)).layers}
    assert rows == {"conv": 8, "norm": 4}


def test_operations_and_ram_are_unknown_and_not_zero(tmp_path: Path) -> None:
    model = audited(tmp_path, safetensors(NETWORK))
    document = model.to_json()
    assert (document["macs"], document["peak_activation_bytes"], document["has_operators"]) == (None, None, False)
    with pytest.raises(BadInput, match="macs is not known"):
        audit(tmp_path / "model.safetensors", limits={"macs": 10}, arena=False)


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ({"w": {**GOOD, "data_offsets": [0, 80]}}, bytes(8)),
        ({"w": {**GOOD, "shape": [3]}}, bytes(8)),
        ({"w": {**GOOD, "shape": [2**31, 2**31]}}, bytes(8)),
        ({"w": {**GOOD, "shape": [-2]}}, bytes(8)),
        ({"w": {**GOOD, "shape": [True, 2]}}, bytes(8)),
        ({"w": {**GOOD, "dtype": "F31"}}, bytes(8)),
        ({"w": {**GOOD, "dtype": ["F32"]}}, bytes(8)),
        ({"w": GOOD, "v": GOOD}, bytes(8)),
        ({"w": {**GOOD, "data_offsets": [4, 12]}}, bytes(12)),
        ({"w": GOOD}, bytes(9)),
        ({"w": 7}, bytes(8)),
        ([GOOD], bytes(8)),
        ({"__metadata__": [], "w": GOOD}, bytes(8)),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, header: Any, content: bytes) -> None:
    with pytest.raises(BadInput, match="safetensors"):
        audited(tmp_path, with_header(header, content))


@pytest.mark.parametrize("payload", [b"", b"abc", bytes(8), b"\xff" * 100, (4).to_bytes(8, "little") + b"{{{{"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, payload: bytes) -> None:
    with pytest.raises(BadInput, match="not a safetensors file"):
        audited(tmp_path, payload)


def test_a_run_that_is_not_compressed_counts_its_float_weights(tmp_path: Path) -> None:
    recipe = Recipe(model=ModelSpec(name="bcresnet-mod-1"))
    folder = Run(tmp_path / "run")
    folder.create(RunInfo("train", recipe.digest, ("bus", "tram"), (3,), 2, versions={}), recipe, [])
    (folder.path / "best.safetensors").write_bytes(safetensors(NETWORK))
    model = audit(folder.path, rules=["dcase2021-1a"], arena=False).models[0]
    assert (model.format, model.parameters.total, model.rules[0].parameters) == ("run", 12, 9)


def test_the_library_that_wrote_the_format_agrees(tmp_path: Path) -> None:
    from safetensors.numpy import save

    ours, theirs = (audited(tmp_path, payload).parameters for payload in (safetensors(NETWORK), save(NETWORK)))
    assert ours == theirs
