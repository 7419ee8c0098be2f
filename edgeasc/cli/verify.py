"""`edgeasc verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, require_option, threads_option
from edgeasc.cli.pages import check_blocks
from edgeasc.cli.terminal import format_option, show


@click.command("verify", cls=Verb, short_help="Derive every number of an exported folder again.")
@click.argument("folder", type=FOLDER)
@require_option
@threads_option
@format_option
def command(folder: Path, require: tuple[str, ...], threads: int, form: str, quiet: bool) -> None:
    """Check an exported folder against its manifest: digests, front end, labels, counts, and the parity ladder.

    Works on another machine than the one that exported; after a wrong digest nothing in the file is parsed.

    \b
      edgeasc verify build
      edgeasc verify build --require tflm --require tflite-reference
    """
    from edgeasc.export.verify import VerificationFailed, verify_folder

    try:
        document = verify_folder(folder, require, threads)
    except VerificationFailed as error:
        show(check_blocks(error.document), error.document, form)
        raise
    show(check_blocks(document), document, form)
