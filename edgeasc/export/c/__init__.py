"""Runtime-free C99 of an integer graph: `lower` chooses kernels, `memory` places tensors, `source` prints."""
