"""The firmware under emulation computes the reference's integers, counts the same every time, and fails in one line."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graph_builder import GraphBuilder, bcresnet
from one_op import random_conv, random_int8

from edgeasc.bench import host
from edgeasc.bench.mcu import emulate
from edgeasc.bench.mcu.bench import bench_cores
from edgeasc.bench.mcu.boards import BOARDS, Memory
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.cli import main
from edgeasc.errors import CheckFailed, ResourceExhausted
from edgeasc.export.c.bundle import Bundle, bundle, write_bundle
from edgeasc.files import sha256
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import c_artefact, read_artefact

pytestmark = pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_bytes(bcresnet("int8")))
    return path


@pytest.mark.parametrize("form", ["int8", "island"])
@pytest.mark.parametrize("core", list(BOARDS))
def test_a_network_equals_the_reference_on_every_core(tmp_path, core, form):
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(bcresnet(form)))
    document = bench_cores([tmp_path / "model.onnx"], [core])
    (row,) = document["results"]
    assert document["exit_code"] == 0 and row["equal"] == row["runs"] == 3 and row["origin"] == "emulated"
    assert row["instructions"] == pytest.approx(sum(layer["instructions"] for layer in row["layers"]), abs=50)


def test_counts_are_the_same_every_time(model):
    first, second = (bench_cores([model], ["cortex-m4"])["results"][0] for _ in range(2))
    assert first == second


def deep(folder: Path, blocks: int) -> Path:
    """A network of `blocks` alike behind one transition."""
    net = GraphBuilder("int8", (1, 16, 20), 0)
    x = net.conv("stem", "input", 8, (5, 5), relu=True)
    for number in range(blocks):
        x = net.block(f"block{number}", x, 12)
    folder.mkdir()
    graph = net.graph(net.mean("logits", net.conv("head", x, 3, (1, 1)), ("F", "T"), keep=False))
    (folder / "model.onnx").write_bytes(onnx_bytes(graph))
    return folder / "model.onnx"


def test_the_arguments_of_all_layers_do_not_pile_up_on_the_stack(tmp_path):
    """The kernels' own tables take up to 4 kB, however many layers there are."""
    models = [deep(tmp_path / str(blocks), blocks) for blocks in (2, 8)]
    shallow, deeper = (row["stack_bytes"] for row in bench_cores(models, ["cortex-m4"])["results"])
    assert 64 < shallow < 4608
    assert deeper <= shallow + 64


def layer(density: float) -> Bundle:
    rng = np.random.default_rng(5)
    graph = random_conv(rng, (64, 4, 16), 64, (1, 1))
    graph.nodes[0].weight[rng.random((64, 64, 1, 1)) >= density] = 0
    return bundle(graph)


def test_flash_is_told_by_role_and_adds_up(model, capsys):
    (row,) = bench_cores([model], ["cortex-m4"])["results"]
    roles, text = row["flash_by_role"], bundle(bcresnet("int8"))
    assert sum(roles.values()) == row["flash_bytes"] and roles["code"] > 10_000
    weights = sum(layer["index_bytes"] for layer in text.facts["layers"])
    assert roles["indices"] == weights and roles["bias"] == text.facts["bytes_by_role"]["bias"] > 0


def test_pruned_weights_save_flash_and_instructions():
    values = random_int8(np.random.default_rng(6), 1, 64, 4, 16)
    dense, sparse = (bench_emulated(c_artefact(layer(part)), "cortex-m4", values)[0] for part in (1.0, 0.11))
    assert dense["instructions"] > 2 * sparse["instructions"]
    assert dense["flash_bytes"] - sparse["flash_bytes"] > 2000  # of 4,096 weights; the sparse kernel itself is longer


def test_a_network_too_large_for_the_chip_is_run_in_the_emulator_s_memory_and_says_so(model, monkeypatch):
    small = replace(BOARDS["cortex-m4"], memory=Memory(0, 4096, 0x21000000, 4096))
    monkeypatch.setitem(BOARDS, "cortex-m4", small)
    (row,) = bench_cores([model], ["cortex-m4"])["results"]
    assert row["equal"] == 3 and row["memory"].startswith("the emulator's own: too large for STM32L4R5")


def test_a_network_too_large_for_the_emulator_is_refused_with_the_bytes(model, monkeypatch):
    tiny = Memory(0, 4096, 0x21000000, 4096)
    monkeypatch.setitem(BOARDS, "cortex-m4", replace(BOARDS["cortex-m4"], memory=tiny, largest=tiny))
    document = bench_cores([model], ["cortex-m4"])
    why = document["results"][0]["error"]
    assert document["exit_code"] == CheckFailed.exit_code and "B more FLASH" in why and "an arena of" in why


def hanging() -> Bundle:
    text = layer(0.1)
    before = "int8_t *const a = arena;"
    loop = text.files["scene.c"].replace(before, "int8_t *volatile a = arena; for (;;) a = arena;")
    return replace(text, files={**text.files, "scene.c": loop})


def emulators_under(folder: Path) -> list[int]:
    """Processes of the emulator that work below `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if "qemu" in (process / "comm").read_text() and str(folder) in os.readlink(process / "cwd"):
                found.append(int(process.name))
    return found


def test_firmware_that_hangs_is_ended_and_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    values = random_int8(np.random.default_rng(6), 1, 64, 4, 16)
    with pytest.raises(ResourceExhausted, match="no end within 2 s"):
        bench_emulated(c_artefact(hanging()), "cortex-m4", values, timeout=2.0)
    assert emulators_under(tmp_path) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_emulator_that_hangs_ends_with_the_command(tmp_path, how):
    text = hanging()
    digests = {name: sha256(content.encode()) for name, content in text.files.items()}
    write_bundle(replace(text, facts={**text.facts, "files": digests}), tmp_path / "c")
    program = (
        "import sys\n"
        "import edgeasc.export.c.genuine as genuine\n"
        "genuine.check_genuine = lambda bundle: None\n"
        "from edgeasc.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "bench", str(tmp_path / "c"), "--target", "qemu:cortex-m4"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL) as process:
        assert until(lambda: emulators_under(tmp_path))
        process.send_signal(how)
        process.wait(20)
        assert until(lambda: not emulators_under(tmp_path))


def until(holds: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether `holds` comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(holds())


def test_firmware_that_faults_is_named():
    text = layer(0.1)
    faulty = text.files["scene.c"].replace("int8_t *const a = arena;", "int8_t *const a = arena; __builtin_trap();")
    values = random_int8(np.random.default_rng(6), 1, 64, 4, 16)
    broken = replace(text, files={**text.files, "scene.c": faulty})
    with pytest.raises(ResourceExhausted, match="the firmware faulted"):
        bench_emulated(c_artefact(broken), "cortex-m4", values)


@pytest.mark.parametrize(
    ("program", "package"), [("qemu-system-arm", "qemu-system-arm"), ("arm-none-eabi-gcc", "gcc-arm-none-eabi")]
)
def test_an_absent_tool_is_a_row_that_names_its_package(model, monkeypatch, program, package):
    real = emulate.shutil.which
    monkeypatch.setattr("shutil.which", lambda name: None if name == program else real(name))
    document = bench_cores([model], ["cortex-m4"])
    assert document["exit_code"] == 4 and f"apt-get install {package}" in document["results"][0]["error"]


def test_an_operator_that_c_lacks_is_named_with_its_node_and_what_to_do(tmp_path, capsys):
    import onnx

    foreign = onnx.load_from_string(onnx_bytes(bcresnet("int8")))
    next(node for node in foreign.graph.node if node.op_type == "Conv").op_type = "LSTM"
    (tmp_path / "m.onnx").write_bytes(foreign.SerializeToString())
    code = main(["bench", str(tmp_path / "m.onnx"), "--target", "qemu:cortex-m4"])
    said = capsys.readouterr()
    assert code == 3 and said.out == "" and said.err.count("\n") == 1
    assert "LSTM 'stem/float'" in said.err and "replace it, or run the file in ONNX Runtime" in said.err


def test_a_tflite_file_has_no_c_and_is_refused(tmp_path):
    from edgeasc.export.dummy import dummy_graph
    from edgeasc.export.tflite import tflite_bytes

    (tmp_path / "m.tflite").write_bytes(tflite_bytes(dummy_graph()))
    document = bench_cores([tmp_path / "m.tflite"], ["cortex-m4"])
    assert document["exit_code"] == 3 and "give its quantised .onnx" in document["results"][0]["error"]


def test_the_command_shows_where_instructions_go(model, capsys):
    assert main(["bench", str(model), "--target", "qemu:cortex-m4", "--all-layers"]) == 0
    shown = capsys.readouterr().out
    assert "stage3.1.pw (conv" in shown and "no latency" in shown


@pytest.mark.needs("gcc")
def test_the_host_times_c_without_the_sanitisers(tmp_path, monkeypatch):
    seen = []
    real = host.open_runner
    monkeypatch.setattr(host, "open_runner", lambda *a, **k: seen.append(real(*a, **k)) or seen[-1])
    write_bundle(bundle(bcresnet("int8")), tmp_path)
    document = host.bench_host(tmp_path, ["native-c"], runs=3)
    assert document["exit_code"] == 0 and document["results"][0]["median_us"] > 0
    assert seen[0].notes["sanitised"] is False


def test_an_unknown_target_names_the_nearest(model, capsys):
    assert main(["bench", str(model), "--target", "qemu:cortex-m44"]) == 2
    assert "did you mean 'qemu:cortex-m4'" in capsys.readouterr().err


@pytest.fixture
def exported(tmp_path, model) -> Path:
    """A folder whose C was written for size, beside its ONNX."""
    write_bundle(bundle(read_onnx(model.read_bytes()), optimise="size"), tmp_path / "c")
    return tmp_path


def test_of_an_exported_folder_its_own_c_is_measured(exported):
    (row,) = bench_cores([exported], ["cortex-m4"])["results"]
    assert row["sha256"] == read_artefact(exported / "c").sha256 and row["equal"] == 3 and row["source"] == "file"


def test_c_that_lies_there_is_compiled_for_what_it_was_written(exported):
    (row,) = bench_cores([exported / "c"], ["cortex-m4"])["results"]
    (anew,) = bench_cores([exported], ["cortex-m4"], optimise="size")["results"]
    assert row["flash_bytes"] == anew["flash_bytes"] and anew["source"] == "written from model.onnx"


def test_settings_for_c_are_refused_where_it_is_written_already(exported):
    document = bench_cores([exported / "c"], ["cortex-m4"], optimise="size")
    assert document["exit_code"] == 2 and "--optimise" in document["results"][0]["error"]


def test_c_of_another_network_than_the_onnx_beside_it_is_refused(exported):
    (exported / "model.onnx").write_bytes(onnx_bytes(bcresnet("int8", shape=(1, 32, 24))))
    document = bench_cores([exported], ["cortex-m4"])
    assert document["exit_code"] == 3 and "model.onnx" in document["results"][0]["error"]
