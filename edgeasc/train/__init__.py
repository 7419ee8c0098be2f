"""Training: batches and augmentation on features, losses, the loop, checkpoints, metrics and evaluation.

Recordings become feature arrays in `data`; networks come from `nn`; `compress` starts from a finished run.
`loop.fit` trains any module features -> logits and is what compression fine-tunes with.
"""
