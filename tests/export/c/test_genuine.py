"""C that is compiled here is C that edgeasc writes: every network of ours passes, and what somebody adds does not."""

from dataclasses import replace

import pytest
from graph_builder import bcresnet

from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.c.genuine import check_genuine
from edgeasc.runtime.runner import load_runner


@pytest.mark.parametrize("form", ["int8", "island"])
def test_what_we_write_is_genuine(form):
    graph = bcresnet(form)
    odd = '["a\\"b", "*/ x", "\\\\", "??/", "caf\\u00e9", "/* y", "\\n", "7", "8", "9"]'
    check_genuine(bundle(graph))
    check_genuine(bundle(replace(graph, metadata={"edgeasc.labels": odd})))


@pytest.mark.parametrize("name", ["*/ x", "/*/", "a\\", "??/", "a\nb", '"', "// x", "\u2028"])
def test_any_name_of_a_node_is_genuine(name):
    graph = bcresnet("int8")
    check_genuine(bundle(replace(graph, nodes=(replace(graph.nodes[0], name=name), *graph.nodes[1:]))))


ATTACKS = {
    "a call in the model": ("scene.c", "    int8_t *const a = arena;", '    int8_t *const a = arena; system("id");'),
    "a call in a line of its own": (
        "scene.c",
        "    int8_t *const a = arena;",
        "    int8_t *const a = arena;\n    evil(a);",
    ),
    "a call as an argument": ("scene.c", "ea_conv(a + ", "ea_conv(evil() + "),
    "a constructor": ("weights.c", '#include "weights.h"', "__attribute__((constructor)) static void f(void) {}"),
    "an include": ("weights.h", "#include <stdint.h>", '#include "/etc/passwd"'),
    "a comment that ends early": ("scene.c", "/* stem", "/* */ int evil; /* stem"),
    "a function that is data": (
        "weights.c",
        '#include "weights.h"',
        '#include "weights.h"\nconst uint8_t ea_evil[1] = {',
    ),
    "a function that is no kernel": ("scene.c", "{ ea_conv(", "{ ea_evil("),
    "somebody else's variable": ("scene.c", "w_s9_stem", "environ"),
    "a number that is code": ("weights.c", "{\n    ", "{\n    evil(), "),
    "a string that ends early": ("scene.c", '    "', '    "" evil "'),
    "a macro": ("scene.h", "#define SCENE_LAYERS ", "#define SCENE_LAYERS evil() + "),
    "a kernel": ("table.c", "ea_look_up(input", "evil(); ea_look_up(input"),
    "the host program": ("scene_host.c", "int main(void)\n{", "int main(void)\n{ evil();"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_somebody_adds_is_found(name):
    file, before, after = ATTACKS[name]
    ours = bundle(bcresnet("int8"))
    assert before in ours.files[file]
    changed = {**ours.files, file: ours.files[file].replace(before, after, 1)}
    with pytest.raises(BadInput, match="not compiled here"):
        check_genuine(replace(ours, files=changed))


def test_a_file_that_is_none_of_ours_is_found():
    ours = bundle(bcresnet("int8"))
    with pytest.raises(BadInput, match=r"'extra\.c' is no file of ours"):
        check_genuine(replace(ours, files={**ours.files, "extra.c": "int x;\n"}))


@pytest.mark.needs("gcc")
def test_a_changed_folder_with_fitting_digests_is_not_run(tmp_path):
    from edgeasc.files import sha256

    ours = bundle(bcresnet("int8"))
    files = {**ours.files, "table.c": ours.files["table.c"] + "int x;\n"}
    digests = {name: sha256(text.encode()) for name, text in files.items()}
    write_bundle(replace(ours, files=files, facts={**ours.facts, "files": digests}), tmp_path)
    with pytest.raises(BadInput, match=r"table\.c is not this version's"):
        load_runner(tmp_path)
