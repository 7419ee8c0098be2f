"""Makes the models of this example: a small scene classifier with seeded weights, and the same one grown in one layer.

    python make_models.py

writes models/scene.tflite and models/scene.onnx, which the repository ships, and pull-request/scene.*, in which
somebody widened the kernel of `stage4.1.pw` from 1 x 1 to 3 x 3. The weights mean nothing: nothing here was trained.
"""

from pathlib import Path
from zlib import crc32

import numpy as np

from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Conv, IntegerGraph, Mean, Node, QTensor
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.shapes import output_shape

HERE = Path(__file__).parent
MELS, FRAMES, CLASSES = 32, 20, 10
BLOCKS = (("stage1.0", 8, 8), ("stage2.0", 8, 12), ("stage3.0", 12, 16), ("stage4.0", 16, 16), ("stage4.1", 16, 24))
SHIPPED, GROWN = (1, 1), (3, 3)


def network(kernel: tuple[int, int]) -> IntegerGraph:
    """The classifier; `kernel` is that of `stage4.1.pw`."""
    tensors = {"input": QTensor("input", (1, 1, MELS, FRAMES), np.float32(0.06), 20)}
    nodes: list[Node] = []

    def add(node: Node, scale: float, zero_point: int) -> str:
        shape = output_shape(node, [tensors[name].shape for name in node.inputs])
        tensors[node.output] = QTensor(node.output, shape, np.float32(scale), zero_point)
        nodes.append(node)
        return node.output

    def conv(
        name: str, source: str, channels: int, kernel: tuple[int, int], stride: int = 1, depthwise: bool = False
    ) -> str:
        random = np.random.default_rng(crc32(name.encode()))  # by name, so that one layer can change alone
        inputs = tensors[source].shape[1]
        weight = random.integers(-127, 128, (channels, 1 if depthwise else inputs, *kernel)).astype(np.int8)
        weight.reshape(channels, -1)[:, 0] = 127  # as quantising real weights would give
        reach = 73.0 * np.sqrt(weight[0].size) * 50.0 * float(tensors[source].scale)
        scale = random.uniform(0.7, 1.4, (1, channels)).astype(np.float32) / np.float32(reach)
        bias = np.rint(random.uniform(-0.1, 0.1, (1, channels)) / (scale * tensors[source].scale)).astype(np.int32)
        f, t = kernel[0] // 2, kernel[1] // 2
        node = Conv(
            name, (source,), name, weight, scale, np.ones((1, channels), np.int8), bias, (stride, stride),
            (f, t, f, t), groups=inputs if depthwise else 1, activation="none" if name == "head" else "relu",
        )  # fmt: skip
        return add(node, 0.03, 0 if name == "head" else -128)

    x = conv("stem", "input", 8, (3, 3), stride=2)
    for block, inputs, channels in BLOCKS:
        x = conv(f"{block}.dw", x, inputs, (3, 3), depthwise=True)
        x = conv(f"{block}.pw", x, channels, kernel if block == "stage4.1" else (1, 1))
    x = conv("head", x, CLASSES, (1, 1))
    add(Mean("logits", (x,), "logits", axes=("F", "T"), keep=False), 0.012, 0)
    return IntegerGraph("int8", "input", "logits", tensors, tuple(nodes), {"edgeasc.form": "int8"})


def write(folder: Path, kernel: tuple[int, int]) -> None:
    """Both formats of the network into `folder`."""
    graph = network(kernel)
    folder.mkdir(exist_ok=True)
    (folder / "scene.tflite").write_bytes(tflite_bytes(graph))
    (folder / "scene.onnx").write_bytes(onnx_bytes(graph))


if __name__ == "__main__":
    write(HERE / "models", SHIPPED)
    write(HERE / "pull-request", GROWN)
