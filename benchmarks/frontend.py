"""The log-mel front end against librosa: throughput in one process, and agreement on the same clips.

    python benchmarks/frontend.py [--data DIR] [--clips 60] [--repeats 5]

Without --data on built-in scenes. One thread. The lanes take turns on every clip, so that a change of the machine's
speed meets all of them; the medians of the wall-clock time over clips and repeats are compared. The processor time of
the thread stands beside, for machines that have other work. Two librosa lanes: its
`feature.melspectrogram` as people call it, which builds its filters at each call, and its `stft` with filters made
beforehand. Agreement is checked on every clip of the data set for four front ends, limit 1e-4 log units.
Writes benchmarks/results/<date>-frontend.json; exit 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from edgeasc.bench.machine import describe_machine
from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.layouts import open_dataset
from edgeasc.features.logmel import front_end
from edgeasc.files import write_json
from edgeasc.specs import LogMel

Waveform = NDArray[np.float32]
Lane = Callable[[Waveform], Waveform]

SPECS = {
    "paper": LogMel(),
    "small": LogMel(n_fft=1024, win_length=1024, hop_length=320, n_mels=64),
    "htk-44k": LogMel(
        sample_rate=44_100, n_fft=2048, win_length=1764, hop_length=882, n_mels=128, f_max=22_050.0, mel_scale="htk"
    ),
    "banded": LogMel(n_fft=2080, win_length=2080, hop_length=480, n_mels=40, f_min=50.0, f_max=7000.0, log_floor=1e-4),
}
LIMIT = 1e-4  # log units
WANTED = 4.0  # times librosa's throughput, with the paper's spec


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data set to take clips from; built-in scenes by default")
    parser.add_argument("--clips", type=int, default=60, help="clips to time, spread over the data set")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with threadpool_limits(1):
        return run(options)


def run(options: argparse.Namespace) -> int:
    """Measure, compare, write; the exit code."""
    dataset = open_dataset(options.data)
    everything = dataset.clips if options.data else spread(dataset.clips, 200)
    timing = [timed(name, dataset, spread(everything, options.clips), options.repeats) for name in SPECS]
    agreement = [compared(name, dataset, everything) for name in SPECS]
    ratio = timing[0]["times_librosa"]
    document = {
        "schema": 1,
        "benchmark": "frontend",
        "date": date.today().isoformat(),
        "data": dataset.name,
        "origin": "measured",
        "threads": 1,
        "machine": describe_machine() | {"librosa": librosa.__version__, "scipy": scipy.__version__},
        "specs": {name: spec.model_dump() for name, spec in SPECS.items()},
        "timing": timing,
        "agreement": agreement,
        "limits": {"times_librosa": WANTED, "log_units": LIMIT},
        "passed": ratio >= WANTED and all(row["passed"] for row in agreement),
    }
    path = options.out / f"{date.today().isoformat()}-frontend.json"
    write_json(path, document)
    render(document)
    print(f"wrote {path}")
    return 0 if document["passed"] else 1


def spread(clips: tuple[Clip, ...], count: int) -> tuple[Clip, ...]:
    """`count` clips at even distances."""
    return tuple(clips[index] for index in np.unique(np.linspace(0, len(clips) - 1, count).astype(int)))


def lanes(spec: LogMel) -> dict[str, Lane]:
    """The three ways to the same features."""
    filters = librosa.filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        n_mels=spec.n_mels,
        fmin=spec.f_min,
        fmax=spec.f_max,
        htk=spec.mel_scale == "htk",
    )
    frame = {"n_fft": spec.n_fft, "hop_length": spec.hop_length, "win_length": spec.win_length, "pad_mode": "constant"}
    scale = {"n_mels": spec.n_mels, "fmin": spec.f_min, "fmax": spec.f_max, "htk": spec.mel_scale == "htk"}

    def melspectrogram(waveform: Waveform) -> Waveform:
        power = librosa.feature.melspectrogram(y=waveform, sr=spec.sample_rate, **frame, **scale)
        return np.log(power + np.float32(spec.log_floor))

    def prepared(waveform: Waveform) -> Waveform:
        return np.log(filters @ np.abs(librosa.stft(waveform, **frame)) ** 2 + np.float32(spec.log_floor))

    return {"edgeasc": front_end(spec), "librosa": melspectrogram, "librosa, filters prepared": prepared}


def timed(name: str, dataset: Dataset, clips: tuple[Clip, ...], repeats: int) -> dict[str, Any]:
    """Median time of every lane over clips and repeats, the lanes taking turns."""
    spec = SPECS[name]
    ways = lanes(spec)
    waveforms = [dataset.waveform(clip, spec.sample_rate) for clip in clips]
    for way in ways.values():
        way(waveforms[0])  # warm-up
    spent: dict[str, list[float]] = {way: [] for way in ways}
    worked: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for waveform in waveforms:
            for label, way in ways.items():
                begin, begin_cpu = time.perf_counter(), time.thread_time()
                way(waveform)
                worked[label].append(time.thread_time() - begin_cpu)
                spent[label].append(time.perf_counter() - begin)
    seconds = float(np.mean([len(waveform) for waveform in waveforms])) / spec.sample_rate
    medians = {label: float(np.median(values)) for label, values in spent.items()}
    processor = {label: float(np.median(values)) for label, values in worked.items()}
    return {
        "spec": name,
        "n": len(clips),
        "repeats": repeats,
        "mean_clip_seconds": seconds,
        "median_ms": {label: 1e3 * value for label, value in medians.items()},
        "p90_ms": {label: 1e3 * float(np.percentile(values, 90)) for label, values in spent.items()},
        "audio_seconds_per_second": {label: seconds / value for label, value in medians.items()},
        "times_librosa": medians["librosa"] / medians["edgeasc"],
        "median_processor_ms": {label: 1e3 * value for label, value in processor.items()},
        "times_librosa_processor": processor["librosa"] / processor["edgeasc"],
        "times_librosa_prepared": medians["librosa, filters prepared"] / medians["edgeasc"],
    }


def compared(name: str, dataset: Dataset, clips: tuple[Clip, ...]) -> dict[str, Any]:
    """The largest difference to librosa over clips, in log units."""
    spec = SPECS[name]
    ways = lanes(spec)
    worst, where = 0.0, ""
    for clip in clips:
        waveform = dataset.waveform(clip, spec.sample_rate)
        difference = float(np.abs(ways["edgeasc"](waveform) - ways["librosa"](waveform)).max())
        if difference >= worst:
            worst, where = difference, clip.id
    return {"spec": name, "n": len(clips), "max_log_units": worst, "clip": where, "passed": worst < LIMIT}


def render(document: dict[str, Any]) -> None:
    """The result as a table."""
    print(f"{document['data']}; one thread; load {document['machine']['load_average']}")
    columns = ("edgeasc", "librosa", "prepared", "times", "proc.", "prep.", "max diff", "n")
    print(f"{'spec':10}" + "".join(f"{column:>10}" for column in columns))
    for timing, agreement in zip(document["timing"], document["agreement"], strict=True):
        cells = [f"{milliseconds:.2f} ms" for milliseconds in timing["median_ms"].values()]
        cells += [f"{timing[f'times_librosa{kind}']:.2f}" for kind in ("", "_processor", "_prepared")]
        cells += [f"{agreement['max_log_units']:.1e}", str(agreement["n"])]
        print(f"{timing['spec']:10}" + "".join(f"{cell:>10}" for cell in cells))
    print("passed" if document["passed"] else "a limit was missed")


if __name__ == "__main__":
    sys.exit(main())
