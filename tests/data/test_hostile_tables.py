"""Whatever stands in the tables of a data set: read, or refused in one line with nothing but printable characters."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeasc.data.layouts import open_dataset
from edgeasc.errors import BadInput

ALPHABET = 'afold1-0,"\n\r\0/.?²\ufeff\x1b'
LAYOUTS = {
    "urbansound8k": ("metadata/UrbanSound8K.csv", "slice_file_name,fsID,fold,classID,class\n", "audio/fold1/a.wav"),
    "primates": ("lab/train.csv", "filename,label\n", "wav/a.wav"),
    "speech_commands": ("testing_list.txt", "", "a/a.wav"),
    "esc50": ("meta/esc.csv", "filename,fold,target,category\n", "audio/a-a.wav"),
}
OTHERS = {
    "primates": {"lab/devel.csv": "filename,label\nb.wav,guenon\n"},
    "speech_commands": {"validation_list.txt": "b/b.wav\n"},
}


@pytest.fixture(params=LAYOUTS)
def hostile(request: pytest.FixtureRequest, tmp_path: Path, write_clip: Callable[[Path], Path]) -> tuple[Path, str]:
    """A folder in one layout, and which of its files is the hostile one."""
    table, _, clip = LAYOUTS[request.param]
    first = write_clip(tmp_path / clip)
    write_clip(first.with_name("b.wav") if request.param == "primates" else tmp_path / "b" / "b.wav")
    for name, text in OTHERS.get(request.param, {}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / table).parent.mkdir(parents=True, exist_ok=True)
    return tmp_path, request.param


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(alphabet=st.sampled_from(ALPHABET), max_size=60), whole=st.booleans())
def test_a_table_is_read_or_refused_in_one_printable_line(hostile: tuple[Path, str], text: str, whole: bool) -> None:
    folder, layout = hostile
    table, header, clip = LAYOUTS[layout]
    (folder / table).write_bytes((text if whole else header + text).encode())
    try:
        dataset = open_dataset(folder)
    except BadInput as refusal:
        assert str(refusal).isprintable()
    else:
        assert {one.path for one in dataset.clips} <= {folder / clip, *folder.rglob("b.wav")}
