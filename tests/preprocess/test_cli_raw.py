"""Raw scans through the command line: what goes wrong ends in one line, and what goes right in files."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from flairline.cli.main import app
from flairline.errors import FlairlineError


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


def test_a_raw_pair_with_a_given_brain(head, coarse_registration, tmp_path):
    case = head.write(tmp_path / "in")
    out = tmp_path / "out"
    done = run(
        *(
            "segment",
            case.flair,
            "--method",
            "histeq",
            "--t1",
            case.t1,
            "--brain",
            case.brain,
            "--atlas",
            head.atlas_file,
        ),
        *("--space", "both", "-w", tmp_path / "kept", "--no-report", "--json", "-o", out),
    )
    assert done.exit_code == 0, done.output
    assert {path.name for path in (out / "flair").iterdir()} >= {
        "score.nii.gz",
        "mask.nii.gz",
        "brain.nii.gz",
        "mask_space-atlas.nii.gz",
        "from-native_to-atlas_xfm.tfm",
        "from-atlas_to-native_xfm.tfm",
        "summary.json",
    }
    (summary,) = json.loads(done.stdout)["subjects"]
    assert summary["qc"]["atlas"] == "atlas"
    assert any((tmp_path / "kept").iterdir())
    assert not (out / "work").exists()


def test_no_cache_keeps_nothing(head, coarse_registration, tmp_path):
    case = head.write(tmp_path / "in")
    words = (
        "--method",
        "histeq",
        "--brain",
        case.brain,
        "--atlas",
        head.atlas_file,
        "--no-cache",
        "--no-report",
        "-o",
        tmp_path / "out",
    )
    assert run("segment", case.flair, *words).exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"flair"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--brain", "deepbt"), "deepbet"),
        (("--registration", "greddy"), "greedy"),
        (("--space", "atlass"), "atlas"),
        (("--strip-on", "t2"), "flair"),
    ],
)
def test_a_misspelt_word_is_corrected(words, said, head, tmp_path):
    case = head.write(tmp_path / "in")
    done = run("segment", case.flair, *words, "-o", tmp_path / "out")
    assert isinstance(done.exception, FlairlineError)
    assert said in str(done.exception) and "\n" not in str(done.exception)


def test_a_folder_without_dicom_is_one_line(tmp_path):
    pytest.importorskip("pydicom")
    (tmp_path / "study").mkdir()
    done = run("segment", tmp_path / "study", "-o", tmp_path / "out")
    assert done.exit_code == 2
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert "DICOM" in line and str(tmp_path / "study") in line
