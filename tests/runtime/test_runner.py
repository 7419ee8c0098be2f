"""One shape for every artefact: features in, logits out, the same integers into every runtime."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgeasc.errors import BadInput, MissingDependency, ResourceExhausted, UsageError
from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import Artefact, onnx_artefact, read_artefact
from edgeasc.runtime.catalogue import RUNTIMES, find_runtime
from edgeasc.runtime.runner import load_runner, open_runner

needs_onnxruntime = pytest.mark.skipif(not RUNTIMES["onnxruntime"].installed, reason=RUNTIMES["onnxruntime"].install)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(onnx_bytes(dummy_graph()))
    return path


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (5, 1, 16, 12)).astype(np.float32)


def float_model(path: Path, height: int | str = 3) -> Path:
    """y = sum over frequency of 2 x, a float ONNX file [batch, 1, height, 4] -> [batch, 4]."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "two"], ["d"]),
            helper.make_node("ReduceSum", ["d", "axes"], ["y"], keepdims=0),
        ],
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, height, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [
            helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]),
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@needs_onnxruntime
def test_a_float_model_computes_what_it_should(tmp_path: Path) -> None:
    x = np.arange(2 * 12, dtype=np.float32).reshape(2, 1, 3, 4)
    with load_runner(float_model(tmp_path / "m.onnx")) as runner:
        assert runner.runtime == "onnxruntime" and runner.input_scale is None
        np.testing.assert_array_equal(runner.predict(x), 2 * x.sum(axis=(1, 2)))


@needs_onnxruntime
def test_an_open_side_takes_any_size(tmp_path: Path) -> None:
    with load_runner(float_model(tmp_path / "m.onnx", "height")) as runner:
        assert runner.input_shape == (1, 0, 4)
        np.testing.assert_array_equal(runner.predict(np.ones((1, 1, 7, 4), np.float32)), np.full((1, 4), 14.0))


@needs_onnxruntime
def test_features_are_quantised_as_the_front_end_does(quantised: Path, features: np.ndarray) -> None:
    integers = np.clip(np.rint(features / np.float32(0.06)) + 20, -128, 127).astype(np.int8)
    with load_runner(quantised) as runner:
        assert (runner.input_scale, runner.input_zero_point) == (pytest.approx(0.06), 20)
        np.testing.assert_array_equal(runner.predict(features), runner.predict(integers))


@needs_onnxruntime
@pytest.mark.parametrize("optimisation", ["disable", "all"])
def test_batches_are_many_single_items(quantised: Path, features: np.ndarray, optimisation: str) -> None:
    many = np.concatenate([features] * 5)  # more than one chunk
    with load_runner(quantised, optimisation=optimisation) as runner:
        one_by_one = np.concatenate([runner.predict(item[None]) for item in features])
        np.testing.assert_array_equal(runner.predict(many), np.concatenate([one_by_one] * 5))


@needs_onnxruntime
def test_nothing_in_gives_nothing_out(quantised: Path, features: np.ndarray) -> None:
    with load_runner(quantised) as runner:
        assert runner.predict(features[:0]).shape[0] == 0


@needs_onnxruntime
def test_timing_gives_one_positive_number_per_run(quantised: Path, features: np.ndarray) -> None:
    with load_runner(quantised) as runner:
        spent = runner.time(features, 7)
    assert spent.shape == (7,) and (spent > 0).all()


@needs_onnxruntime
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda x: x[:, :, :5], "shape 1 x 5 x 12 where the model takes 1 x 16 x 12"),
        (lambda x: x[:, 0], "where the model takes"),
        (lambda x: x * np.float32(np.nan), "NaN"),
    ],
)
def test_features_that_do_not_fit_are_refused(quantised: Path, features: np.ndarray, change, why: str) -> None:
    with load_runner(quantised) as runner, pytest.raises(BadInput, match=why):
        runner.predict(change(features))


@needs_onnxruntime
def test_integers_for_a_float_model_are_refused(tmp_path: Path) -> None:
    with load_runner(float_model(tmp_path / "m.onnx")) as runner, pytest.raises(UsageError, match="takes float"):
        runner.predict(np.zeros((1, 1, 3, 4), np.int8))


@needs_onnxruntime
def test_a_model_of_an_operator_that_the_runtime_lacks_is_bad_input(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"])],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    path = tmp_path / "odd.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )
    with pytest.raises(BadInput, match=r"odd\.onnx.*Frobnicate"):
        load_runner(path)


@pytest.mark.parametrize("content", [b"", b"onnx", os.urandom(300)])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        load_runner(path)
    assert caught.value.path == path


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"without model\.onnx"):
        load_runner(tmp_path)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"\.pt suffix; known"):
        load_runner(tmp_path / "m.pt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_runner(tmp_path / "gone.onnx")


def test_an_unknown_runtime_is_told_the_nearest(quantised: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'onnxruntime'"):
        load_runner(quantised, "onnxruntim")


def test_a_runtime_that_reads_other_files_is_refused(quantised: Path) -> None:
    with pytest.raises((UsageError, MissingDependency), match=r"litert does not run onnx|not installed"):
        load_runner(quantised, "litert")


def test_an_absent_runtime_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="onnxruntime is not installed: pip install onnxruntime"):
        find_runtime("onnxruntime")


def test_metadata_gives_front_end_and_labels() -> None:
    artefact = Artefact(
        "onnx",
        b"",
        metadata={
            "edgeasc.features": '{"n_mels": 64, "hop_length": 320}',
            "edgeasc.labels": '["park", "tram"]',
            "edgeasc.clip_seconds": "2.5",
        },
    )
    assert artefact.features is not None and artefact.features.n_mels == 64
    assert (artefact.labels, artefact.clip_seconds) == (("park", "tram"), 2.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("features", "{"),
        ("features", "[1]"),
        ("features", '{"n_mel": 64}'),
        ("labels", '{"a": 1}'),
        ("labels", "[1, 2]"),
        ("clip_seconds", '"long"'),
        ("clip_seconds", "-1"),
        ("clip_seconds", "NaN"),
    ],
)
def test_hostile_metadata_is_refused(key: str, value: str) -> None:
    artefact = Artefact("onnx", b"", metadata={f"edgeasc.{key}": value})
    with pytest.raises(BadInput, match=f"edgeasc.{key}"):
        getattr(artefact, key)


def test_the_quantisation_of_both_ends_is_read_from_onnx() -> None:
    artefact = onnx_artefact(onnx_bytes(dummy_graph()))
    assert artefact.input is not None and artefact.output is not None
    assert (artefact.input.zero_point, artefact.output.zero_point) == (20, 0)


def test_the_digest_is_of_the_bytes(quantised: Path) -> None:
    import hashlib

    assert read_artefact(quantised).sha256 == hashlib.sha256(quantised.read_bytes()).hexdigest()


@needs_onnxruntime
@pytest.mark.skipif(os.name == "nt", reason="no address-space limit on Windows")
def test_a_model_that_wants_too_much_memory_is_a_resource_error(tmp_path: Path) -> None:
    """A constant of 8 GB, spelt in a hundred bytes."""
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["big"]),
            helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ],
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor("shape", TensorProto.INT64, [1], [2_000_000_000])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    artefact = onnx_artefact(model.SerializeToString(), tmp_path / "bomb.onnx")
    with (
        pytest.raises((ResourceExhausted, BadInput), match=r"memory|alloc"),
        open_runner(artefact, memory=2 * 1024**3) as runner,
    ):
        runner.predict(np.zeros((1, 1, 2, 2), np.float32))


def test_tflite_runtime_does_not_count_as_installed_beside_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, but `Interpreter` fails on it with a SystemError on every model."""
    from importlib import metadata

    real = metadata.version
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(metadata, "version", lambda name: "2.4.1" if name == "numpy" else real(name))
    assert not RUNTIMES["tflite-runtime"].installed and RUNTIMES["litert"].installed
    with pytest.raises(MissingDependency, match="pip install 'numpy<2'"):
        find_runtime("tflite-runtime")
    assert find_runtime("tflite-reference").package == "ai-edge-litert"
