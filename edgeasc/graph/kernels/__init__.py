"""The integer kernels: what every quantised operator computes, one file per family.

Each family is two things apart. *Parameters* are small frozen records of Python integers and numpy arrays, computed
once from float32 scales exactly as the kernels of TensorFlow Lite compute them. *Arithmetic* takes int64 arrays and
parameters, and uses nothing but operators and methods that numpy arrays and torch tensors share, so that the numpy
reference and the integer-exact training forward run one text. Arrays are `[B, C, F, T]` int64 that hold int8 values.

The judge is `tests/graph`: every kernel equals TensorFlow Lite's reference kernels and TensorFlow Lite Micro,
element by element.
"""
