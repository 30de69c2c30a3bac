"""`flairline segment` on stripped scans."""

import json
import sys

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import aff2axcodes

from flairline import segmentation as segment
from flairline.executor import Outcome
from flairline.summary import Summary
from flairline.types import Case

ORIENTATIONS = ("RAS", "LAS", "LPS", "oblique")


@pytest.fixture
def flair(tmp_path, save, head):
    return save(tmp_path / "in" / "sub-01_ses-2_FLAIR.nii.gz", head.flair)


def quick(flairline, *arguments):
    """Without page and preprocessing: what is tested here is the mask."""
    method = () if "--method" in arguments else ("--method", "brightest")
    return flairline("segment", *arguments, *method, "--no-report", "--brain", "none")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_left_stays_left(tmp_path, flairline, save, head, orientation):
    path = save(tmp_path / "in" / "flair.nii.gz", head.flair, orientation)
    out = tmp_path / "out"
    ran = quick(flairline, path, "--method", "intensity", "--threshold", "300", "-o", out)
    assert ran.code == 0, ran.err
    given = nib.load(path)
    images = {name: nib.load(out / "flair" / f"{name}.nii.gz") for name in ("score", "mask", "brain")}
    for image in images.values():
        assert image.shape == given.shape and aff2axcodes(image.affine) == aff2axcodes(given.affine)
        np.testing.assert_allclose(image.affine, given.affine, atol=1e-4)
    found = nib.as_closest_canonical(images["mask"])
    np.testing.assert_array_equal(np.asarray(found.dataobj) > 0, head.truth)
    summary = json.loads((out / "flair" / "summary.json").read_text())
    (lesion,) = summary["lesions"]
    canonical = nib.as_closest_canonical(given)
    assert lesion["side"] == "left"
    np.testing.assert_allclose(
        lesion["centre_mm"], nib.affines.apply_affine(canonical.affine, (5.5, 8.5, 9.0)), atol=1e-3
    )
    assert lesion["volume_ml"] == pytest.approx(48 * 0.003, rel=1e-4)


def test_what_is_written(tmp_path, flairline, flair, head):
    ran = quick(flairline, flair, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    folder = tmp_path / "out" / "sub-01_ses-2"
    assert {path.name for path in folder.iterdir()} >= {"score.nii.gz", "mask.nii.gz", "brain.nii.gz", "summary.json"}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    score, mask = nib.load(folder / "score.nii.gz"), nib.load(folder / "mask.nii.gz")
    assert (score.get_data_dtype(), mask.get_data_dtype()) == (np.float32, np.uint8)
    np.testing.assert_array_equal(np.asarray(nib.load(folder / "brain.nii.gz").dataobj) > 0, head.brain)
    assert (np.asarray(score.dataobj)[~head.brain] == 0).all()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["threshold"]["rule"] == "quantile 0.98 of the brain"
    assert summary["threshold"]["chosen_on"] == "this scan"
    assert summary["note"] == "a fixed share of every brain, not a measurement"
    assert summary["lesion_volume_ml"] == pytest.approx(np.asarray(mask.dataobj).sum() * 0.003, rel=1e-4)
    assert summary["versions"]["flairline"] and summary["seconds"] > 0 and summary["n_lesions"] == 1
    assert len(summary["inputs"]["flair"]["sha256"]) == 64
    words = " ".join(ran.out.split())
    assert "a fixed share of every brain, not a measurement" in words and "not for diagnosis" in words


def test_a_given_threshold_of_the_intensity_is_no_fixed_share(tmp_path, flairline, flair):
    ran = quick(flairline, flair, "--method", "intensity", "--threshold", "300", "-o", tmp_path / "out", "--json")
    (summary,) = json.loads(ran.out)["subjects"]
    assert summary["note"] == "" and summary["threshold"] == {"value": 300.0, "rule": "given", "chosen_on": "user"}
    assert summary["lesions"][0]["voxels"] == 48


def test_existing_results_stay_unless_told(tmp_path, flairline, flair):
    out = tmp_path / "out"
    quick(flairline, flair, "-o", out)
    mask = out / "sub-01_ses-2" / "mask.nii.gz"
    mask.write_bytes(b"mine")
    ran = quick(flairline, flair, "-o", out)
    assert ran.code == 0 and mask.read_bytes() == b"mine" and "was there already" in " ".join(ran.out.split())
    quick(flairline, flair, "-o", out, "--overwrite")
    assert nib.load(mask).shape == (15, 17, 19)


def test_an_unfinished_subject_is_made_again(tmp_path, flairline, flair):
    out = tmp_path / "out"
    quick(flairline, flair, "-o", out)
    folder = out / "sub-01_ses-2"
    (folder / "summary.json").unlink()
    (folder / "mask.nii.gz").write_bytes(b"half")
    quick(flairline, flair, "-o", out)
    assert nib.load(folder / "mask.nii.gz").shape == (15, 17, 19) and (folder / "summary.json").exists()


def test_overwriting_with_a_bad_scan_leaves_the_old_files_as_unfinished(tmp_path, flairline, flair):
    out = tmp_path / "out"
    quick(flairline, flair, "-o", out)
    folder = out / "sub-01_ses-2"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    flair.write_bytes(b"")
    assert quick(flairline, flair, "-o", out, "--overwrite").code == 2
    assert before.pop("summary.json") and {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert "was there already" not in quick(flairline, flair, "-o", out).out
    assert flairline("report", out).code == 0
    assert "Unfinished: its folder has no summary.json" in (out / "index.html").read_text()


def test_one_bad_scan_does_not_stop_the_others(tmp_path, flairline, save, head):
    good = [save(tmp_path / f"sub-{number}.nii.gz", head.flair) for number in (1, 3)]
    bad = tmp_path / "sub-2.nii.gz"
    bad.write_bytes(b"")
    ran = quick(flairline, good[0], bad, good[1], "-o", tmp_path / "out")
    assert ran.code == 1
    assert f"sub-2: {bad} is empty" in ran.line
    assert sorted(path.parent.name for path in (tmp_path / "out").glob("*/mask.nii.gz")) == ["sub-1", "sub-3"]
    assert not (tmp_path / "out" / "sub-2").exists()


def test_two_bad_scans_are_both_named(tmp_path, flairline, save, head):
    good = save(tmp_path / "sub-1.nii.gz", head.flair)
    ran = quick(flairline, good, tmp_path / "sub-2.nii.gz", tmp_path / "sub-3.nii.gz", "-o", tmp_path / "out")
    lines = ran.complaints
    assert ran.code == 1 and len(lines) == 3
    assert "2 failed" in lines[0] and "sub-2: No such file" in lines[1] and "sub-3: No such file" in lines[2]


def test_the_same_run_gives_the_same_bytes(tmp_path, flairline, flair):
    for name in ("one", "two"):
        quick(flairline, flair, "-o", tmp_path / name)
    for name in ("score", "mask", "brain"):
        one, two = (tmp_path / run / "sub-01_ses-2" / f"{name}.nii.gz" for run in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_table_of_cases(tmp_path, flairline, save, head):
    save(tmp_path / "a.nii.gz", head.flair)
    save(tmp_path / "brain.nii.gz", (head.brain & (head.flair > 110)).astype(np.uint8))
    (tmp_path / "cases.csv").write_text(
        "dataset,subject,session,flair,brain,truth\nd,one,,a.nii.gz,,\nd,two,s1,a.nii.gz,brain.nii.gz,\n"
    )
    ran = quick(flairline, "--cases", tmp_path / "cases.csv", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    brains = {
        name: int(np.asarray(nib.load(tmp_path / "out" / name / "brain.nii.gz").dataobj).sum())
        for name in ("one", "two_s1")
    }
    assert brains == {"one": head.brain.sum(), "two_s1": (head.brain & (head.flair > 110)).sum()}


def test_results_lie_on_the_flairs_grid_whatever_the_truths(tmp_path, flairline, save, head):
    path = save(tmp_path / "a.nii.gz", head.flair)
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.diag([3, 3, 3, 1.0])), tmp_path / "truth.nii.gz")
    (tmp_path / "cases.csv").write_text("dataset,subject,flair,truth\nd,one,a.nii.gz,truth.nii.gz\n")
    ran = quick(flairline, "--cases", tmp_path / "cases.csv", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    mask = nib.load(tmp_path / "out" / "one" / "mask.nii.gz")
    np.testing.assert_allclose(mask.affine, nib.load(path).affine)
    assert mask.shape == head.flair.shape


def test_a_clash_writes_nothing(tmp_path, flairline, flair):
    ran = quick(flairline, flair, flair, "-o", tmp_path / "out")
    assert ran.code == 2 and "would both be called" in ran.line and not (tmp_path / "out").exists()


def test_several_jobs_give_the_same(tmp_path, flairline, save, head):
    paths = [save(tmp_path / f"sub-{number}.nii.gz", head.flair + number * head.brain) for number in range(2)]
    for jobs in (1, 2):
        assert quick(flairline, *paths, "-o", tmp_path / f"out{jobs}", "--jobs", jobs).code == 0
    for name in ("sub-0", "sub-1"):
        one, two = ((tmp_path / f"out{jobs}" / name / "score.nii.gz").read_bytes() for jobs in (1, 2))
        assert one == two


def test_a_fault_in_flairline_is_one_scans_and_its_traceback_lies_in_the_logs(tmp_path, monkeypatch):
    cases = [Case("d", "sub-1"), Case("d", "sub-2"), Case("d", "sub-3")]
    done = segment.Done(tmp_path, Summary())

    def outcomes(function, items, jobs):
        good, wrong, mendable = items
        yield Outcome(good, done)
        yield Outcome(wrong, error="ValueError: odd", traceback="Traceback ...\nValueError: odd\n")
        yield Outcome(mendable, error="No such file: x. Check the path.")

    stale = tmp_path / "logs" / "sub-1.txt"
    stale.parent.mkdir()
    stale.write_text("of an earlier run")
    monkeypatch.setattr(segment.executor, "run", outcomes)
    first, second, third = segment.run(cases, tmp_path, segment.Settings("brightest"))
    log = tmp_path / "logs" / "sub-2.txt"
    assert first.result is done and str(log) in second.error and "ValueError: odd" in second.error
    assert log.read_text() == "Traceback ...\nValueError: odd\n"
    assert third.error == "No such file: x. Check the path."
    assert [path.name for path in log.parent.iterdir()] == ["sub-2.txt"]


def test_no_side_is_named_where_the_header_says_no_orientation(tmp_path, head, flairline):
    """Both codes are 0: the side was named on terminal and page, and it was the wrong one."""

    image = nib.Nifti1Image(head.flair, None)
    image.header.set_zooms((1.0, 1.5, 2.0))
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "flair.nii.gz")
    ran = flairline("segment", tmp_path / "flair.nii.gz", "--method", "histeq", "-o", tmp_path / "out")
    assert ran.code == 0
    summary = json.loads((tmp_path / "out" / "flair" / "summary.json").read_text())
    assert summary["n_lesions"] > 0 and {lesion["side"] for lesion in summary["lesions"]} == {""}
    (flag,) = [flag for flag in summary["qc"]["flags"] if flag["figure"] == "orientation"]
    assert flag["reason"] in ran.out + ran.err
    assert "left and right are not known" in (tmp_path / "out" / "flair" / "report.html").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_file_name_in_latin_1_is_segmented_beside_others(tmp_path, head, save, flairline):
    names = [b"caf\xe9.nii.gz".decode("utf-8", "surrogateescape"), "other.nii.gz"]
    files = [save(tmp_path / name, head.flair) for name in names]
    ran = flairline("segment", *files, "--method", "histeq", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    summaries = [json.loads((tmp_path / "out" / name / "summary.json").read_text()) for name in ("café", "other")]
    assert summaries[0]["inputs"]["flair"]["file"] == "café.nii.gz"
    assert summaries[0]["lesion_volume_ml"] == summaries[1]["lesion_volume_ml"] > 0
    assert "café" in (tmp_path / "out" / "café" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["histeq", "training-free"])
def test_how_the_file_lies_on_disk_changes_no_byte_of_score_and_mask(tmp_path, method):
    from flairline.io.nifti import write_volume
    from flairline.synthesis.phantom import phantom

    found = {}
    for stored in ("RAS", "LAI", "PSR", "SLP"):
        scan, _, _ = phantom(0, (4.0, 3.0, 5.0), orientation=stored)
        files = {role: tmp_path / f"{stored}-{role}.nii.gz" for role in scan.images}
        for role, path in files.items():
            write_volume(path, scan.images[role])
        assert "".join(aff2axcodes(nib.load(files["flair"]).affine)) == stored
        settings = segment.Settings(recipe=method)
        found[stored] = segment.find(Case("phantom", stored, flair=files["flair"], t1=files["t1"]), settings)
    first = found.pop("RAS")
    assert first.mask.array.any()
    for other in found.values():
        assert other.mask.array.tobytes() == first.mask.array.tobytes()
        assert other.score.array.tobytes() == first.score.array.tobytes()
        assert other.threshold == first.threshold
