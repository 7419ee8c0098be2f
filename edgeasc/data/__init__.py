"""Recordings: where they come from, how they are split, and how they become network inputs.

`audio` reads files, `clips` holds the nouns, `layouts` recognises folders on disk, `scenes` renders the built-in
scenes, `split` draws training, validation and test clips, `cache` keeps their features, `inputs` cuts and pads
them, `calibration` names the clips that fix quantisation ranges.
"""
