"""Clips through emulated firmware: samples in, the name of the scene out, and what it costs.

    python examples/firmware/hear_scenes.py [--core cortex-m4] [--model M] [RECORDING...]

Without recordings one clip of each built-in scene is played, none of which the network was trained on. `make
firmware-demo` runs it. The chip is an emulated one: instructions are counted, no time is measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from edgeasc.bench.mcu.boards import BOARDS
from edgeasc.bench.mcu.listen import bench_listening

MODEL = Path(__file__).parents[2] / "models" / "scenes-demo" / "int8" / "model.onnx"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--core", choices=list(BOARDS), default="cortex-m4")
    parser.add_argument("--model", type=Path, default=MODEL)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgeasc-clips-") as folder:
        clips = chosen.recordings or render_scenes(Path(folder))
        document = bench_listening([chosen.model], [chosen.core], clips)
    for row in document["results"]:
        if "error" in row:
            print(f"edgeasc: error: {row['error']}", file=sys.stderr)
            return int(row["exit_code"])
        heard = ", ".join(f"{scene['label']} at {scene['seconds']:.2f} s" for scene in row["scenes"])
        print(f"{Path(row['audio']).stem:>20}: {heard}")
    print_costs(document["results"][0])
    return int(document["exit_code"])


def render_scenes(folder: Path) -> list[Path]:
    """One test clip of every built-in scene, through the recording device that most of the training heard."""
    import soundfile

    from edgeasc.data.scenes import SAMPLE_RATE, built_in_scenes
    from edgeasc.data.split import split

    dataset = built_in_scenes()
    first = {clip.label: clip for clip in reversed(split(dataset, None, validation=0.0).test) if clip.device == "a"}
    paths = []
    for label, clip in sorted(first.items()):
        paths.append(folder / f"{dataset.labels[label]}.wav")
        soundfile.write(paths[-1], dataset.waveform(clip, SAMPLE_RATE), SAMPLE_RATE)
    return paths


def print_costs(row: dict) -> None:
    """What the chip spends and holds."""
    front, network = row["front_end"], row["network"]
    equal = "equal to the numpy reference" if row["equal"] else "NOT EQUAL to the numpy reference"
    print(f"\nEvery level and logit is {equal}. Counted on an emulated {row['target'].removeprefix('qemu:')}:")
    print(f"  front end  {front['per_second']:>12,} instructions per second of sound ({front['per_frame']:,} a frame)")
    print(f"  network    {network['instructions']:>12,} instructions per scene")
    print(f"  flash      {row['flash_bytes']:>12,} B, {front['table_bytes']:,} of them the front end's tables")
    print(
        f"  RAM        {row['ram_bytes']:>12,} B: arena {row['arena_bytes']:,}, stream {front['state_bytes']:,}, stack"
    )
    print(f"  linked for {row['memory']}")


if __name__ == "__main__":
    sys.exit(main())
