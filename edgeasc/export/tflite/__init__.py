"""The TensorFlow Lite writer: an IntegerGraph as a flatbuffer, written directly, with no converter between.

`flatbuffer` knows the file format, `operators` how single operators are spelled, `conv` and `islands` how one node
becomes several operators, `lowering` walks the graph. Scales, zero points and integers are those of the graph, exactly.
Needs no TensorFlow.
"""

from edgeasc.export.tflite.lowering import tflite_bytes

__all__ = ["tflite_bytes"]
