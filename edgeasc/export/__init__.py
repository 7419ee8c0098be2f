"""From the waist to files that others run: TFLite, the manifest, and the proof that all artefacts agree.

`artefacts` writes a folder, `ladder` and `parity` judge it, `manifest` describes it, `verify` believes none of it,
`doctor` sends a small network (`dummy`) through everything that is installed.
"""
