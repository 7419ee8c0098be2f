"""Targets are data: every file reads, the clock can be another, and the bands hold what others published."""

from itertools import pairwise

import pytest

from edgeasc.audit.estimate import count_cycles, milliseconds, network_loads
from edgeasc.audit.runtimes import read_runtime
from edgeasc.audit.targets import place, read_networks, read_target, target_names
from edgeasc.errors import UsageError

WANTED = {
    "cortex-m0plus",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "esp32-s3",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "ethos-u55",
    "ethos-u65",
}
PUBLISHED = [(name, item) for name in sorted(WANTED) for item in read_target(name).published]


def test_the_targets_are_those_promised() -> None:
    assert set(target_names()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_every_target_carries_its_name_its_sources_and_known_runtimes(name: str) -> None:
    target = read_target(name)
    assert target.name == name
    assert all(target.sources)
    for kind, runtime in target.runtimes.items():
        assert read_runtime(runtime).reads == kind
    if target.accelerator:
        assert read_runtime(target.accelerator).name == target.accelerator
        assert target.host in target_names()


def test_the_chips_have_the_memory_of_their_datasheets() -> None:
    kibibytes = {name: (read_target(name).flash_bytes / 1024, read_target(name).ram_bytes / 1024) for name in WANTED}
    assert kibibytes["cortex-m0plus"] == (512, 144)  # STM32G0B1RE
    assert kibibytes["cortex-m4"] == (2048, 640)  # STM32L4R5ZI
    assert kibibytes["cortex-m33"] == (2048, 768)  # STM32U575ZI, SRAM1 to SRAM3


@pytest.mark.parametrize(
    ("text", "hertz"),
    [
        ("cortex-m4", 120e6),
        ("cortex-m4@80MHz", 80e6),
        ("cortex-m4@80 mhz", 80e6),
        ("cortex-m4@0.5GHz", 5e8),
        ("cortex-m4@32000kHz", 32e6),
    ],
)
def test_a_clock_can_be_given(text: str, hertz: float) -> None:
    assert place(text).clock_hz == pytest.approx(hertz)


@pytest.mark.parametrize(
    "text", ["cortex-m4@", "cortex-m4@fast", "cortex-m4@0MHz", "cortex-m4@-8MHz", "cortex-m4@99GHz"]
)
def test_a_clock_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="clock"):
        place(text)


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'cortex-m4'"):
        place("cortex-m44@80MHz")
    with pytest.raises(UsageError, match="unknown target"):
        place("networks")  # a file beside the targets that is none


def test_the_networks_have_the_multiply_accumulates_of_their_layers() -> None:
    networks = read_networks()
    keywords = networks[
        "mlperf-kws"
    ]  # 49 x 10 input; 10 x 4 convolution, four separable blocks of 64 channels at 25 x 5
    assert (keywords.conv, keywords.depthwise) == (125 * 64 * 40 + 4 * 125 * 64 * 64, 4 * 125 * 64 * 9)
    assert keywords.dense == 64 * 12
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    assert networks["mlperf-ad"].dense == sum(a * b for a, b in pairwise(widths))
    images = 1024 * 16 * 27 + 2 * 1024 * 16 * 144  # ResNet-8 on 32 x 32 x 3
    images += 256 * 32 * (144 + 288 + 16) + 64 * 64 * (288 + 576 + 32)
    assert networks["mlperf-ic"].conv == images


@pytest.mark.parametrize(("name", "channels"), [("mlperf-vww", 3), ("person-detection", 1)])
def test_mobilenet_has_the_multiply_accumulates_of_its_layers(name: str, channels: int) -> None:
    widths = [8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    side, conv, depthwise = 48, 48 * 48 * 8 * 9 * channels, 0
    for before, after, stride in zip(widths[:-1], widths[1:], strides, strict=True):
        side = -(-side // stride)
        depthwise += side * side * before * 9
        conv += side * side * before * after
    network = read_networks()[name]
    assert (network.conv, network.depthwise, network.dense) == (conv, depthwise, 512)


@pytest.mark.parametrize(("name", "item"), PUBLISHED, ids=[f"{n}-{p.network}-{p.engine}" for n, p in PUBLISHED])
def test_the_band_holds_every_published_latency(name: str, item: object) -> None:
    target = read_target(name)
    published = next(each for each in target.published if each is item)
    work = network_loads(read_networks()[published.network], published.dtype == "float32")
    band = milliseconds(count_cycles(work, target.cycles), published.mhz * 1e6)
    assert band.low <= published.milliseconds <= band.high


def test_yamnet_256_has_the_multiply_accumulates_of_its_layers() -> None:
    blocks = [(48 * 32, 48 * 32, 32, 64), (48 * 32, 24 * 16, 64, 128), (24 * 16, 24 * 16, 128, 128)]
    blocks += [(24 * 16, 12 * 8, 128, 256), (12 * 8, 12 * 8, 256, 256)]
    network = read_networks()["yamnet-256"]
    assert network.depthwise == sum(pixels * inputs * 9 for _, pixels, inputs, _ in blocks)
    assert network.conv == 48 * 32 * 32 * 9 + sum(pixels * a * b for _, pixels, a, b in blocks)
    assert network.dense == 256 * 10


def test_an_audio_network_that_chose_no_band_comes_out_near_its_measurement() -> None:
    target = read_target("cortex-m33")
    [published] = [item for item in target.published if item.network == "yamnet-256"]
    band = milliseconds(count_cycles(network_loads(read_networks()["yamnet-256"]), target.cycles), 160e6)
    assert published.milliseconds / 1.5 < band.typical < 1.5 * published.milliseconds


def test_every_microcontroller_rests_on_a_published_latency() -> None:
    assert all(read_target(name).published for name in WANTED)
    assert sum(len(read_target(name).published) for name in WANTED) >= 40
