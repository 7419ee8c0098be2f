"""Damaged .tflite and .onnx files through `edgeasc audit`: each is counted or refused, quickly, in little memory.

    python benchmarks/fuzz_audit.py [--files 2000] [--formats tflite onnx] [--arena 100]

Each file is audited by a process of its own. It must end by itself with exit code 0, 1 or 3, print no traceback and no
`internal error`, at most one line of error, take at most 10 s and 1 GB of memory, children included. The seconds are
those of the processor, and those of the clock as well wherever the machine is not busier than it has cores: on a busy
one the clock tells of the others. What only waits is ended after 60 s of the clock, which is a fault everywhere.
The first --arena files of the .tflite are audited once more with TFLM measuring its arena.
Writes benchmarks/results/<date>-fuzz-audit.json; exit 1 where a file breaks a limit. The file is kept under --keep.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fuzz_mutations import damaged
from fuzz_seeds import seeds

from edgeasc.bench.machine import describe_machine
from edgeasc.cli import main as edgeasc
from edgeasc.files import write_json

CODES = (0, 1, 3)
SECONDS, BYTES = 10.0, 10**9
# What a file is audited with, in turn
VARIANTS = (
    ("--budget", "2KiB", "--all-layers"),
    ("--format", "json", "--rules", "dcase2022"),
    ("--format", "markdown", "--rules", "dcase2021-1a", "--rules", "dcase2025", "--all-layers"),
    ("--target", "cortex-m4", "--target", "ethos-u55", "--target", "raspberry-pi-5"),
    ("--format", "sarif", "--limit", "file=60KiB", "--limit", "macs=1M", "--target", "esp32-s3@160MHz"),
)
PATIENCE = 60.0  # seconds after which a process is ended
ADDRESS_SPACE = 8 * 2**30  # keeps the machine alive; never met by a file within the limit


@dataclass(frozen=True)
class Outcome:
    """How one audit ended. `code` is negative for a signal, None where it had to be ended."""

    code: int | None
    seconds: float
    cpu_seconds: float
    bytes: int
    stderr: str
    clock_counts: bool = True

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, in words."""
        wrong = {
            f"exit code {self.code}": self.code not in CODES,
            "traceback": "Traceback" in self.stderr or "internal error" in self.stderr,
            "more than one line of error": self.stderr.count("edgeasc: error") > 1,
            f"{self.cpu_seconds:.1f} s of the processor": self.cpu_seconds > SECONDS,
            f"{self.seconds:.1f} s of the clock": self.clock_counts and self.seconds > SECONDS,
            f"{self.bytes:,} bytes of memory": self.bytes > BYTES,
        }
        return [words for words, found in wrong.items() if found]


def audit_in_child(path: Path, *options: str) -> Outcome:
    """`edgeasc audit PATH` in a child."""
    return in_child(lambda: edgeasc(["audit", str(path), *options]))


def in_child(work: Callable[[], int], patience: float = PATIENCE) -> Outcome:
    """How `work`, which gives an exit code, ends in a fork of this process, which has the imports done."""
    start, quiet = time.perf_counter(), _quiet()
    with tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if child == 0:
            _work(work, stderr.fileno())
        status, usage = _wait(child, start + patience)
        seconds = time.perf_counter() - start
        stderr.seek(0)
        text = stderr.read().decode(errors="replace")
    code = None if status is None else os.waitstatus_to_exitcode(status)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Outcome(code, seconds, cpu_seconds, usage.ru_maxrss * 1024, text, quiet and _quiet())


def _quiet() -> bool:
    """Whether this process and its children get a core whenever they want one."""
    return os.getloadavg()[0] <= (os.cpu_count() or 1)


def _work(work: Callable[[], int], stderr: int) -> None:
    """The child: never returns."""
    code = 99
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(stderr, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, until: float) -> tuple[int | None, resource.struct_rusage]:
    while time.perf_counter() < until:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return status, usage
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    return None, os.wait4(child, 0)[2]


def fuzz(
    suffix: str, count: int, options: tuple[str, ...] = ("--no-arena",), keep: Path | None = None
) -> dict[str, Any]:
    """Audits of `count` damaged files: {files, codes, slowest, largest memory, faults}."""
    originals, codes, faults = seeds(suffix), Counter[str](), []
    slowest = longest = largest = 0.0
    timed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged.{suffix}"
        for number in range(count):
            path.write_bytes(damaged(suffix, number, originals))
            variant = VARIANTS[number // len(originals) % len(VARIANTS)]
            outcome = audit_in_child(path, *variant, *options)
            codes[str(outcome.code)] += 1
            timed += outcome.clock_counts
            slowest, longest = max(slowest, outcome.seconds), max(longest, outcome.cpu_seconds)
            largest = max(largest, outcome.bytes)
            if outcome.faults:
                faults.append({"file": number, "what": outcome.faults, **asdict(outcome)})
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{number}.{suffix}").write_bytes(path.read_bytes())
    return {
        "format": suffix,
        "options": list(options),
        "files": count,
        "exit_codes": dict(sorted(codes.items())),
        "judged_by_the_clock": timed,
        "slowest_seconds": round(slowest, 3),
        "most_cpu_seconds": round(longest, 3),
        "peak_bytes": int(largest),
        "faults": faults,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="damaged files of each format")
    parser.add_argument("--formats", nargs="+", default=["tflite", "onnx"], choices=["tflite", "onnx"])
    parser.add_argument("--arena", type=int, default=100, help="of them with TFLM's arena as well")
    parser.add_argument("--keep", type=Path, help="folder for the files that break a limit")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    results = [fuzz(suffix, options.files, keep=options.keep) for suffix in options.formats]
    if options.arena:
        results.append(fuzz("tflite", options.arena, ("--arena",), keep=options.keep))
    passed = not any(result["faults"] for result in results)
    limits: dict[str, Any] = {"exit_codes": list(CODES), "seconds": SECONDS, "peak_bytes": BYTES}
    document = {"schema": 1, "machine": describe_machine(), "limits": limits, "results": results, "passed": passed}
    for result in results:
        print(f"{result['files']} .{result['format']} {' '.join(result['options'])}: exits {result['exit_codes']}, "
              f"slowest {result['slowest_seconds']} s, peak {result['peak_bytes'] / 1e6:.0f} MB, "
              f"{len(result['faults'])} faults")  # fmt: skip
        for fault in result["faults"][:20]:
            print(f"  {fault['file']}.{result['format']}: {', '.join(fault['what'])}: {fault['stderr'].strip()[-300:]}")
    write_json(options.out / f"{date.today()}-fuzz-audit.json", document)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
