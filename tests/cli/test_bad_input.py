"""Bad input gets one clear line that names it, exit code 2, and nothing half-written."""

import gzip
import os
import struct

import nibabel as nib
import numpy as np
import pytest

SHAPE = (15, 17, 19)


def one_file(folder):
    """Everything below a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(array, affine=None) -> bytes:
    content = bytearray(nib.Nifti1Image(array, np.eye(4)).to_bytes())
    for row in range(3):
        struct.pack_into("<4f", content, 280 + 16 * row, *(np.eye(4) if affine is None else affine)[row])
    return bytes(content)


def with_inside(head, value):
    flair = head.flair.copy()
    flair[7, 8, 9] = value
    return stored(flair)


SHEARED = np.array([[1, 0.4, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
BAD_FILES = {
    "empty": (lambda head: b"", "is empty"),
    "truncated": (lambda head: gzip.compress(stored(head.flair))[:-100], "cut off"),
    "not a NIfTI": (lambda head: b"hello, I am a text" * 50, "Wanted a NIfTI file"),
    "2-D": (lambda head: stored(head.flair[0]), "2-dimensional"),
    "5-D": (lambda head: stored(head.flair[..., None, None].repeat(2, 4)), "5-dimensional"),
    "many volumes": (lambda head: stored(head.flair[..., None].repeat(4, 3)), "it has 4|has 4"),
    "RGB": (lambda head: stored(np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])), "colours"),
    "one voxel": (lambda head: stored(head.flair[:1, :1, :1]), "single voxel"),
    "NaN inside the brain": (lambda head: with_inside(head, np.nan), "1 NaN or infinite"),
    "inf inside the brain": (lambda head: with_inside(head, np.inf), "1 NaN or infinite"),
    "all zero": (lambda head: stored(head.flair * 0), "empty"),
    "constant brain": (lambda head: stored((head.brain * 7).astype(np.float32)), "have the value 7"),
    "sheared": (lambda head: stored(head.flair, SHEARED), "sheared"),
    "singular": (lambda head: stored(head.flair, np.diag([1, 0, 1, 1])), "singular"),
}


@pytest.mark.parametrize("command", ["segment", "benchmark"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_scan(tmp_path, flairline, head, name, command):
    make, reason = BAD_FILES[name]
    content = make(head)
    path = tmp_path / ("flair.nii.gz" if content[:2] == b"\x1f\x8b" else "flair.nii")
    path.write_bytes(content)
    out = tmp_path / "out"
    if command == "segment":
        ran = flairline("segment", path, "--method", "histeq", "--brain", "none", "-o", out)
    else:
        (tmp_path / "cases.csv").write_text(f"dataset,subject,flair,t1,t2,brain,truth\nd,one,{path.name},,,,\n")
        ran = flairline("benchmark", "--cases", tmp_path / "cases.csv", "--method", "histeq", "-o", out)
    assert ran.code == 2
    assert any(part in ran.line for part in reason.split("|")) and str(path) in ran.line
    assert not out.exists() or one_file(out) == {}


def test_a_missing_file_and_a_folder(tmp_path, flairline):
    ran = flairline("segment", tmp_path / "flair.nii.gz", "-o", tmp_path / "out")
    assert ran.code == 2 and f"No such file: {tmp_path / 'flair.nii.gz'}" in ran.line
    (tmp_path / "folder").mkdir()
    ran = flairline("segment", tmp_path / "folder", "-o", tmp_path / "out")
    assert ran.code == 2 and str(tmp_path / "folder") in ran.line
    assert not (tmp_path / "out").exists() or one_file(tmp_path / "out") == {}


@pytest.mark.parametrize("other", ["--t2", "--brain"])
def test_grids_that_do_not_match(tmp_path, flairline, save, head, other):
    flair = save(tmp_path / "flair.nii.gz", head.flair)
    small = save(tmp_path / "other.nii.gz", head.flair[:-1])
    ran = flairline("segment", flair, other, small, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "15x17x19" in ran.line and "14x17x19" in ran.line and ran.line.count("affine [") == 2


def test_an_empty_brain_file(tmp_path, flairline, save, head):
    flair = save(tmp_path / "flair.nii.gz", head.flair)
    brain = save(tmp_path / "brain.nii.gz", head.brain.astype(np.uint8) * 0)
    ran = flairline("segment", flair, "--brain", brain, "-o", tmp_path / "out")
    assert ran.code == 2 and "empty" in ran.line


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "line 1: wanted the column 'dataset'"),
        ("dataset,flair\n", "line 1: wanted the column 'subject'"),
        ("dataset,subject,t1\na,b,\n", "line 1: wanted the column 'flair'"),
        ("dataset,subject,flair\n", "no rows"),
        ("dataset,subject,flair\na,b,missing.nii.gz\n", "line 2, column 'flair': no such file"),
        ("dataset,subject,flair,truth\n\na,b,there,\na,c,there,gone\n", "line 4, column 'truth': no such file"),
        ("dataset,subject,flair\na,,there\n", "line 2: the column 'subject' is empty"),
        ("dataset,subject,flair\na,b,\n", "line 2: the column 'flair' is empty"),
        ("dataset,subject,flair\na,b,there,more\n", "line 2: more values than the 3 columns"),
        ("dataset,subject,flair\na,b,there\na,b,there\n", "line 3: subject 'b' of 'a' stands in line 2 already"),
        ("dataset,subject,flair\na,b," + "x" * 200_000, "line 2: field larger"),
    ],
)
@pytest.mark.parametrize("command", ["segment", "benchmark"])
def test_a_bad_table(tmp_path, flairline, text, wanted, command):
    (tmp_path / "there").write_bytes(b"not empty")
    table = tmp_path / "cases.csv"
    table.write_text(text)
    ran = flairline(command, "--cases", table, "-o", tmp_path / "out")
    assert ran.code == 2 and wanted in ran.line and str(table) in ran.line
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_none(tmp_path, flairline):
    ran = flairline("benchmark", "--cases", tmp_path / "missing.csv", "-o", tmp_path / "out")
    assert ran.code == 2 and "No such file" in ran.line
    (tmp_path / "binary.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    ran = flairline("benchmark", "--cases", tmp_path / "binary.csv", "-o", tmp_path / "out")
    assert ran.code == 2 and "it is no text" in ran.line
    ran = flairline("benchmark", "-o", tmp_path / "out")
    assert ran.code == 2 and "--cases" in ran.line


@pytest.fixture
def table(tmp_path, save, head):
    save(tmp_path / "flair.nii.gz", head.flair)
    save(tmp_path / "truth.nii.gz", head.truth.astype(np.uint8))
    (tmp_path / "cases.csv").write_text(
        "dataset,subject,flair,truth,score\nd,one,flair.nii.gz,truth.nii.gz,flair.nii.gz\n"
    )
    return tmp_path / "cases.csv"


def commands(table, out):
    flair = table.parent / "flair.nii.gz"
    return {
        "segment": ["segment", flair, "--method", "histeq", "--brain", "none", "-o", out],
        "benchmark": ["benchmark", "--cases", table, "--method", "histeq", "--protocol", "native", "-o", out],
        "evaluate": ["evaluate", table, "--protocol", "native", "-o", out],
    }


@pytest.mark.parametrize("command", ["segment", "benchmark", "evaluate"])
def test_an_output_folder_that_is_a_file(tmp_path, flairline, table, command):
    out = tmp_path / "out"
    out.write_text("mine")
    ran = flairline(*commands(table, out)[command])
    assert ran.code == 2 and "is a file" in ran.line and out.read_text() == "mine"
    ran = flairline(*commands(table, out / "below")[command])
    assert ran.code == 2 and "Cannot write to the output folder" in ran.line


@pytest.mark.parametrize("command", ["segment", "benchmark", "evaluate"])
def test_a_read_only_output_folder(tmp_path, flairline, table, command, monkeypatch):
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    if os.access(out, os.W_OK):  # this user may write everywhere: refuse it by hand

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("flairline.io.files.tempfile.TemporaryFile", refuse)
    ran = flairline(*commands(table, out)[command])
    assert ran.code == 2 and f"Cannot write to the output folder {out}: Permission denied" in ran.line
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("command", ["segment", "benchmark"])
def test_an_unknown_method(tmp_path, flairline, table, command):
    ran = flairline(*commands(table, tmp_path / "out")[command], "--method", "histeqq")
    assert ran.code == 2 and "Did you mean 'histeq'?" in ran.line and not (tmp_path / "out").exists()


def test_an_unknown_protocol(tmp_path, flairline, table):
    ran = flairline("benchmark", "--cases", table, "--protocol", "experiment-3", "-o", tmp_path / "out")
    assert ran.code == 2 and "Did you mean 'experiment-" in ran.line and not (tmp_path / "out").exists()


def test_a_grid_that_the_protocol_does_not_take(tmp_path, flairline, table):
    ran = flairline("benchmark", "--cases", table, "--protocol", "experiment-1", "-o", tmp_path / "out")
    assert ran.code == 2 and "SRI24" in ran.line and "15x17x19" in ran.line


@pytest.mark.parametrize("option", ["--t1", "--t2", "--brain"])
def test_several_flairs_with_one_companion(tmp_path, flairline, table, option):
    flair = table.parent / "flair.nii.gz"
    ran = flairline("segment", flair, flair, option, flair, "-o", tmp_path / "out")
    assert ran.code == 2 and "Wanted one FLAIR" in ran.line and not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--t1", "--t2", "--brain"])
def test_a_table_with_one_companion(tmp_path, flairline, table, option):
    ran = flairline("segment", "--cases", table, option, table.parent / "flair.nii.gz", "-o", tmp_path / "out")
    assert ran.code == 2 and option in ran.line and "--cases" in ran.line and not (tmp_path / "out").exists()


def test_neither_or_both_of_files_and_table(tmp_path, flairline, table):
    for arguments in ([], [table.parent / "flair.nii.gz", "--cases", table]):
        ran = flairline("segment", *arguments, "-o", tmp_path / "out")
        assert ran.code == 2 and "one of the two" in ran.line


def test_a_threshold_that_is_none(tmp_path, flairline, table):
    ran = flairline("segment", table.parent / "flair.nii.gz", "--threshold", "q2", "-o", tmp_path / "out")
    assert ran.code == 2 and "got 'q2'" in ran.line and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [["segmnt"], ["benchmark", "--methd", "x"], ["benchmark"], ["segment", "-j", "0"]]
)
def test_a_slip_of_the_pen(flairline, arguments):
    ran = flairline(*arguments)
    assert ran.code == 2 and ran.line.startswith("flairline: ") and ran.line.endswith("--help.")


def test_maps_without_score_or_mask(tmp_path, flairline, table):
    table.write_text("dataset,subject,flair,truth\nd,one,flair.nii.gz,truth.nii.gz\n")
    ran = flairline("evaluate", table, "-o", tmp_path / "out")
    assert ran.code == 2 and "wanted a column 'score' or 'mask'" in ran.line


def test_a_score_with_nan_and_on_another_grid(tmp_path, flairline, save, table, head):
    for array, reason in ((np.where(head.truth, np.nan, head.flair), "NaN"), (head.flair[1:], "not on one grid")):
        save(tmp_path / "score.nii.gz", array.astype(np.float32))
        table.write_text("dataset,subject,flair,truth,score\nd,one,flair.nii.gz,truth.nii.gz,score.nii.gz\n")
        ran = flairline("evaluate", table, "--protocol", "native", "-o", tmp_path / "out")
        assert ran.code == 2 and reason in ran.line


def test_a_run_in_which_nothing_could_be_done_leaves_earlier_results(tmp_path, flairline, table):
    arguments = commands(table, tmp_path / "out")["benchmark"]
    assert flairline(*arguments).code == 0
    before = one_file(tmp_path / "out")
    (tmp_path / "flair.nii.gz").write_bytes(b"")
    assert flairline(*arguments).code == 2
    assert one_file(tmp_path / "out") == before
