"""Damaged TFLite files reach native runtimes in a child only, and every outcome is an error with an exit code."""

import numpy as np
import pytest

from edgeasc.errors import BadInput, EdgeascError, ResourceExhausted
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.runtime.artefact import tflite_artefact
from edgeasc.runtime.catalogue import RUNTIMES
from edgeasc.runtime.runner import open_runner

PAYLOAD = tflite_bytes(dummy_graph())
INPUT = np.zeros((1, 1, 16, 12), np.int8)
RUNTIME = [name for name in ("litert", "tflite-runtime", "tflite-reference", "tflm") if RUNTIMES[name].installed]


def mutated(seed: int) -> bytes:
    """The file with words overwritten, bits flipped or its end cut, as seeded."""
    random = np.random.default_rng(seed)
    payload = bytearray(PAYLOAD)
    kind = seed % 3
    if kind == 0:
        return bytes(payload[: int(random.integers(64, len(payload)))])
    for _ in range(int(random.integers(1, 12))):
        place = int(random.integers(8, len(payload) - 4))
        payload[place : place + 4] = b"\xff\xff\xff\x7f" if kind == 1 else bytes([payload[place] ^ 16]) * 4
    return bytes(payload)


@pytest.mark.parametrize("runtime", RUNTIME)
def test_damage_is_refused_or_survived_and_never_takes_us_along(runtime: str) -> None:
    outcomes = []
    for seed in range(12):
        try:
            with open_runner(tflite_artefact(mutated(seed)), runtime, timeout=20.0) as runner:
                assert runner.predict(np.zeros((1, *runner.input_shape), np.int8)).ndim == 2
                outcomes.append("ran")
        except EdgeascError as error:
            assert isinstance(error, BadInput | ResourceExhausted) and "\n" not in str(error), error
            outcomes.append(type(error).__name__)
    assert "BadInput" in outcomes  # the mutations do reach the loaders


@pytest.mark.parametrize("runtime", RUNTIME)
def test_a_file_that_only_looks_like_tflite_is_refused(runtime: str) -> None:
    from edgeasc.runtime.artefact import Artefact

    with pytest.raises((BadInput, ResourceExhausted)):
        open_runner(Artefact("tflite", b"\x1c\0\0\0TFL3" + bytes(400)), runtime, timeout=20.0)
