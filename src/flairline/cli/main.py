"""The command line: parse, load, call, print. Heavy imports stay inside the command that needs them.

Exit codes: 0 done (a fragment of a data set, or a truth without lesions, is no error); 1 some inputs failed and are
named, the rest is done; 2 nothing could be done.
"""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from flairline.cli import (
    benchmark,
    bids,
    compare,
    datasets,
    demo,
    evaluate,
    fit,
    methods,
    report,
    segment,
    serve,
    synthesise,
)
from flairline.cli.show import NOTHING_DONE, STOPPED, say
from flairline.errors import FlairlineError, lacking
from flairline.io.surroundings import open_streams

app = typer.Typer(
    help="Find what is abnormal in a brain MRI without lesion labels. Research use only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


_UsageError: Any = typer.BadParameter.__mro__[1]  # click's; recent versions of typer bring a copy of their own


STDOUT = 1


def main() -> None:
    """Run the command line; a user's mistake ends with one line and exit code 2."""
    open_streams()
    _print_any_letter()
    # Read when torch is loaded. By default its threads spin while they wait for each other, and beside one busy
    # neighbour a training step then takes ten times as long; waiting costs 4 % on an idle machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        code = app(standalone_mode=False) or 0
        if code == STOPPED:
            say("flairline: stopped. Run the same command again to go on.")
        sys.exit(code)
    except FlairlineError as error:
        say(f"flairline: {error}")
        sys.exit(NOTHING_DONE)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "flairline"
        message = error.format_message().rstrip(".")
        if message:  # it has none where the help was printed already
            say(f"flairline: {message}. See {command} --help.")
        sys.exit(NOTHING_DONE)
    except KeyboardInterrupt:
        say("flairline: stopped. Run the same command again to go on.")
        sys.exit(STOPPED)
    except OSError as error:
        if not (what := lacking(error)):
            raise
        say(f"flairline: {what}")
        sys.exit(NOTHING_DONE)
    except SystemExit as leaving:
        # typer answers a broken pipe itself, with 1. Whoever read our output has seen enough
        # (`flairline methods | head`).
        if not (isinstance(leaving.__context__, BrokenPipeError) and _reader_has_left()):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        sys.exit(0)


def _print_any_letter() -> None:
    """Let every name be printed: its bytes that are no UTF-8 as letters, and ? where a terminal has no such letter."""
    codecs.register_error("readable", _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="readable")


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is printed for letters that cannot be encoded."""
    from flairline.io.files import readable

    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = readable(error.object[error.start : error.end])
    return letters.encode(error.encoding, "replace"), error.end


def _reader_has_left() -> bool:
    """Whether stdout is a pipe that nobody reads any more: a pipe may break elsewhere, and that is no success."""
    import select

    if os.fstat(STDOUT).st_rdev == Path(os.devnull).stat().st_rdev:
        return True  # rich met the broken pipe first, and put this in its place
    watched = select.poll()
    watched.register(STDOUT, 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"flairline {version_of('flairline')}")
        raise typer.Exit


COMMANDS = {
    "segment": segment,
    "benchmark": benchmark,
    "evaluate": evaluate,
    "compare": compare,
    "report": report,
    "serve": serve,
    "fit": fit,
    "synthesise": synthesise,
    "methods": methods,
    "demo": demo,
}

for _name, _module in COMMANDS.items():
    app.command(_name)(_module.command)
app.command("bids", cls=bids.ManyLabels)(bids.command)
app.add_typer(datasets.datasets_app, name="datasets")
