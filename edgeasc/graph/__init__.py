"""The waist: the integer graph, its numpy reference, its counts, and the quantised ONNX file that carries it."""
