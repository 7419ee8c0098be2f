"""The log-mel front end: waveform [n_samples] in, features [n_mels, n_frames] out.

`filterbank` holds window and mel filters, `logmel` the fast numpy/scipy transform, `logmel_torch` its torch twin
for networks that hear waveforms, `quantize` the one step from float features to the int8 that every runner gets.
Nothing here reads files; `edgeasc.data` does.
"""
