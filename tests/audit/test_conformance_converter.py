"""Conformance, TensorFlow's converter: one Keras network in every quantisation that it offers, and an LSTM.

The network is a depthwise-separable keyword spotter with batch norm, which the converter folds into weight and bias:
conv 3x3 1 -> 8 stride 2, depthwise 3x3, pointwise 8 -> 16, mean, dense 16 -> 5, on 20 x 10.
"""

import subprocess
import sys
from pathlib import Path

import pytest

import edgeasc
from edgeasc.audit.document import ModelAudit

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow")]
PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
folder = sys.argv[1]
layers = tf.keras.layers
tf.keras.utils.set_random_seed(1)
seeds = iter(range(100))  # equal tensors would be merged by the converter
noise = lambda: tf.keras.initializers.RandomUniform(0.5, 1.5, seed=next(seeds))
norm = lambda: layers.BatchNormalization(
    gamma_initializer=noise(), beta_initializer=noise(), moving_mean_initializer=noise())
cnn = tf.keras.Sequential([
    layers.Input((20, 10, 1), batch_size=1),
    layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False), norm(), layers.ReLU(),
    layers.DepthwiseConv2D(3, padding="same", use_bias=False), norm(), layers.ReLU(),
    layers.Conv2D(16, 1, use_bias=False), norm(), layers.ReLU(),
    layers.GlobalAveragePooling2D(), layers.Dense(5, bias_initializer=noise()),
])
lstm = tf.keras.Sequential([layers.Input((9, 5), batch_size=1), layers.LSTM(4, bias_initializer=noise())])
data = lambda: ([np.random.default_rng(i).normal(size=(1, 20, 10, 1)).astype(np.float32)] for i in range(20))

def write(name, model, **settings):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if settings:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    for key, value in settings.items():
        if key == "ops":
            converter.target_spec.supported_ops = value
        elif key == "types":
            converter.target_spec.supported_types = value
        elif key != "plain":
            setattr(converter, key, value)
    open(f"{folder}/{name}.tflite", "wb").write(converter.convert())

OPS = tf.lite.OpsSet
write("float32", cnn)
write("float16", cnn, types=[tf.float16])
write("hybrid", cnn, plain=True)
write("int8", cnn, representative_dataset=data, ops=[OPS.TFLITE_BUILTINS_INT8],
      inference_input_type=tf.int8, inference_output_type=tf.int8)
write("int16x8", cnn, representative_dataset=data,
      ops=[OPS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8])
write("lstm", lstm)
"""
WEIGHTS = 8 * 9 + 8 * 9 + 8 * 16 + 16 * 5
BIASES = 8 + 8 + 16 + 5
MACS = 10 * 5 * (8 * 9 + 8 * 9 + 8 * 16) + 16 * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as the converter writes them, from a process of its own."""
    folder = tmp_path_factory.mktemp("converted")
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def audited(folder: Path, name: str) -> ModelAudit:
    return edgeasc.audit(folder / f"{name}.tflite", arena=False).models[0]


@pytest.mark.parametrize(
    ("name", "weight_bytes", "bias_bytes"),
    [("float32", 4, 4), ("float16", 2, 2), ("int8", 1, 4), ("int16x8", 1, 8)],
)
def test_a_converted_network_counts_by_formula(folder: Path, name: str, weight_bytes: int, bias_bytes: int) -> None:
    model = audited(folder, name)
    assert (model.parameters.total, model.macs, model.unknown) == (WEIGHTS + BIASES, MACS, ())
    assert model.parameters.bytes == weight_bytes * WEIGHTS + bias_bytes * BIASES


def test_a_hybrid_file_holds_floats_where_the_converter_left_them(folder: Path) -> None:
    """The converter quantises no tensor of fewer than 1,024 elements."""
    model = audited(folder, "hybrid")
    assert (model.parameters.total, model.macs) == (WEIGHTS + BIASES, MACS)
    assert model.parameters.bytes == 4 * (WEIGHTS + BIASES)


def test_a_converted_lstm_is_a_loop_whose_steps_are_counted(folder: Path) -> None:
    model = audited(folder, "lstm")
    assert (model.parameters.total, model.macs, model.unknown) == (4 * (5 * 4 + 4 * 4 + 4), 9 * 4 * (5 * 4 + 4 * 4), ())
