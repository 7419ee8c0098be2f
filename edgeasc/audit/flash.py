"""Flash of a network as C: of a C folder as it is, of a quantised ONNX as `export --c` would write it."""

from __future__ import annotations

from edgeasc.audit.document import Flash
from edgeasc.errors import BadInput
from edgeasc.runtime.artefact import Artefact


def estimate_flash(artefact: Artefact) -> Flash:
    """Constants, counted, and code, estimated; or why there is no C of `artefact`; never an error of the audit."""
    if artefact.kind not in ("c", "onnx"):
        return Flash(None, f"a {artefact.kind} file has no C; audit the .onnx, the run or the C folder")
    from edgeasc.audit.c_count import read_arrays
    from edgeasc.export.c.bundle import bundle, parse_payload
    from edgeasc.export.c.flash import code_bytes
    from edgeasc.export.c.program import WIDTH
    from edgeasc.graph.onnx_read import read_onnx

    try:
        text = parse_payload(artefact.payload) if artefact.kind == "c" else bundle(read_onnx(artefact.payload))
        arrays = read_arrays(text.files.get("weights.c", ""))
    except BadInput as error:
        return Flash(None, f"it has no C: {error.why}")
    constants = sum(len(values) * WIDTH[ctype] for ctype, values in arrays.values())
    code = code_bytes(text.files, text.files.get("scene.c", "").count("{ ea_"))
    return Flash(constants + code, f"{constants:,} B of constants, {code:,} B of code estimated for Cortex-M4")
