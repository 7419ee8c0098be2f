"""The flash that is told without a compiler is near what the cross compiler makes."""

import pytest
from graph_builder import bcresnet

from edgeasc.bench.mcu.boards import find_board
from edgeasc.bench.mcu.firmware import build
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.flash import code_bytes, known_kernels
from edgeasc.export.c.source import kernel_names

FIRMWARE_BYTES = 2_000  # main.c, startup.c and what the compiler brings


def test_every_kernel_has_its_size():
    assert {name for name in kernel_names() if name.endswith(".c")} <= known_kernels()


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("form", ["int8", "island"])
def test_the_estimate_is_near_the_linked_firmware(tmp_path, form):
    text = bundle(bcresnet(form), front_end=False)
    firmware = build(text, find_board("cortex-m4"), tmp_path, "balanced")
    expected = text.facts["constant_bytes"] + code_bytes(text.files, len(text.facts["layers"])) + FIRMWARE_BYTES
    assert expected == pytest.approx(firmware.flash_bytes, rel=0.15)
