"""The words and flags of every command: a change of them is a change for whoever calls flairline from a script."""

import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from flairline.cli.main import app

STORED = Path(__file__).parent / "help"
WIDTH = "100"
BOX_OR_COLOUR = re.compile(r"[\u2500-\u257f]|\x1b\[[0-9;]*m")


def words(text: str) -> list[str]:
    """Without frames and colours, which are a library's and not ours."""
    return BOX_OR_COLOUR.sub(" ", text).split()


@pytest.mark.parametrize("path", sorted(STORED.glob("*.txt")), ids=lambda path: path.stem)
def test_the_help_says_what_it_said(path):
    arguments = [] if path.stem == "flairline" else path.stem.split("-")
    ran = CliRunner().invoke(
        app, [*arguments, "--help"], prog_name="flairline", env={"COLUMNS": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    )
    assert ran.exit_code == 0, ran.output
    assert words(ran.output) == words(path.read_text(encoding="utf-8"))


def test_no_command_is_left_out():
    stored = {path.stem.split("-")[0] for path in STORED.glob("*.txt")}
    assert stored == {*get_command(app).commands, "flairline"}
