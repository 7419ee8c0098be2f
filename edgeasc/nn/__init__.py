"""Network architectures, one file per family, one registry; everything here maps features to logits.

A network is built only from leaf modules of `torch.nn` and `edgeasc.nn.layers`: no arithmetic between them in a
`forward`, so that `layers.trace` gives a graph of module calls alone, which `compress` rewrites.
Training lives in `train`, numbers in recipes under `models/`.
"""

from edgeasc.nn.registry import create_model, list_models

__all__ = ["create_model", "list_models"]
