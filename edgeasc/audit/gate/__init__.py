"""The gate: many artefacts, many limits, the difference to a committed baseline, and one verdict for CI.

`config` reads `edgeasc.toml`, `collect` counts and looks up evidence (evaluation, parity, latency), `verdict` judges,
`difference` says which layer grew, `baseline` keeps what was found, `formats` render. `check` in `gate.run` is the
way in; nothing of torch, TensorFlow or a runtime is imported, TFLM's arena apart (a child process, where limited).
"""
