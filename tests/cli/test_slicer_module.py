"""`slicer/flairline.xml` says what the command says, and a command that Slicer makes of it runs."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import pytest

from flairline.cli import segment, slicer_module

SLICER = Path(__file__).parents[2] / "slicer"
SRC = SLICER.parent / "src"
KINDS = {"image", "directory", "string", "boolean", "integer"}
"""Of the Slicer Execution Model, those that the form uses."""


@pytest.fixture(scope="module")
def form():
    """The parameters of the stored file, by name: their kind and what each part says."""
    root = ElementTree.parse(SLICER / "flairline.xml").getroot()
    assert root.tag == "executable" and {"title", "category", "description"} <= {part.tag for part in root}
    entries = [entry for group in root.iter("parameters") for entry in group if entry.find("name") is not None]
    return {entry.findtext("name"): (entry.tag, {part.tag: part.text for part in entry}) for entry in entries}


def test_the_stored_description_is_that_of_the_command():
    """Else write it anew: python -m flairline.cli.slicer_module > slicer/flairline.xml."""
    assert (SLICER / "flairline.xml").read_text(encoding="utf-8") == slicer_module.description()


def test_every_parameter_of_the_command_is_in_the_form_or_left_out_with_a_reason(form):
    names = set(inspect.signature(segment.command).parameters)
    assert set(slicer_module.WITHOUT) <= names
    assert {name.removeprefix("no_") for name in form} == names - set(slicer_module.WITHOUT)
    assert {kind for kind, _ in form.values()} <= KINDS
    assert all(reason for reason in slicer_module.WITHOUT.values())


def test_what_is_on_is_turned_off_and_what_is_off_turned_on(form):
    turned = {name: said["longflag"] for name, (kind, said) in form.items() if kind == "boolean"}
    assert {said["default"] for kind, said in form.values() if kind == "boolean"} == {"false"}
    assert turned["no_regions"] == "--no-regions" and turned["bias"] == "--bias" and "no_bias" not in turned


def command_of(form, chosen):
    """The words after the program, as Slicer makes them: flags and values, then what has a place."""
    words, placed = [], []
    for name, (kind, said) in form.items():
        value = chosen.get(name, said.get("default"))
        if kind == "boolean":
            words += [said["longflag"]] if value == "true" else []
        elif value is not None:
            target = placed if "index" in said else words
            target += [value] if "index" in said else [said["longflag"], value]
    return [*words, *placed]


def test_a_command_made_of_the_form_runs(form, tmp_path, save, head):
    """As Slicer calls it, with variables of its own Python that would stop another one."""
    flair = save(tmp_path / "A1B2.nii.gz", head.flair, "LPS")
    chosen = {"flairs": str(flair), "out": str(tmp_path / "out"), "method": "brightest", "brain": "none"}
    chosen |= dict.fromkeys(("no_regions", "no_report", "label_map"), "true")
    program = tmp_path / "flairline"  # this checkout's, wherever another one is installed
    code = f"import sys; sys.path.insert(0, {str(SRC)!r}); from flairline.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    theirs = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "FLAIRLINE": str(program)}
    words = [str(SLICER / "flairline"), *command_of(form, chosen)]
    ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **theirs}, timeout=300)
    assert ran.returncode == 0, ran.stderr
    written, source = nib.load(tmp_path / "out" / "A1B2" / "lesions.nii.gz"), nib.load(flair)
    assert written.shape == source.shape and nib.aff2axcodes(written.affine) == ("L", "P", "S")


def test_the_program_says_its_description_itself():
    said = subprocess.run([SLICER / "flairline", "--xml"], capture_output=True, text=True, check=True).stdout
    assert said == (SLICER / "flairline.xml").read_text(encoding="utf-8")


def test_a_path_of_which_nobody_said_what_it_is_is_not_guessed():
    parameter = slicer_module.Parameter("table", "Path", "", None, ("--table",))
    with pytest.raises(ValueError, match="wanted table"):
        parameter.kind  # noqa: B018
