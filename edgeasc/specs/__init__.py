"""Frozen specifications: the front end and the recipe, as numbers that every room reads.

Read from TOML, validated once, hashed by content. Nothing heavy is imported here.
"""

from edgeasc.specs.base import Spec, document_digest
from edgeasc.specs.front_end import AnyFrontEnd, FrontEndSpec, LogMel, Waveform
from edgeasc.specs.recipe import Recipe
from edgeasc.specs.sections import (
    AugmentSpec,
    DataSpec,
    DistillSpec,
    ModelSpec,
    PruneSpec,
    QuantizeSpec,
    TrainSpec,
    WaveAugmentSpec,
)
from edgeasc.specs.text import dump_toml, nearest, parse_front_end, parse_spec, read_toml, with_settings

__all__ = [
    "AnyFrontEnd",
    "AugmentSpec",
    "DataSpec",
    "DistillSpec",
    "FrontEndSpec",
    "LogMel",
    "ModelSpec",
    "PruneSpec",
    "QuantizeSpec",
    "Recipe",
    "Spec",
    "TrainSpec",
    "WaveAugmentSpec",
    "Waveform",
    "document_digest",
    "dump_toml",
    "nearest",
    "parse_front_end",
    "parse_spec",
    "read_toml",
    "with_settings",
]
