"""Every scan once, whatever happens to the others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from flairline.cohort.layout import Filters, read_layout
from flairline.cohort.participant import Run, Workers, parameters_of, run, write_pages
from flairline.cohort.state import locked, path_of, read_state
from flairline.errors import OutputError, UnknownNameError
from flairline.imaging.points import PointMap
from flairline.io.nifti import read_mask
from flairline.postprocess.threshold import parse_threshold
from flairline.preprocess.register import write_itk
from flairline.preprocess.settings import PreprocessSettings
from flairline.segmentation import Settings, find

SETTINGS = Settings("histeq", preprocess=PreprocessSettings(brain="none"))


@pytest.fixture
def asked(bids, tmp_path):
    return Run(bids / "raw", tmp_path / "out", tmp_path / "work", SETTINGS)


def go(asked, *labels, settings=SETTINGS):
    layout = read_layout(asked.root, Filters(labels))
    return {scan.name: scan for scan in run(layout, replace(asked, settings=settings), Workers())}


@pytest.fixture
def copied(finished, tmp_path):
    """A finished OUT that may be changed."""
    return shutil.copytree(finished, tmp_path / "out")


def test_the_derivatives_are_what_segment_finds(bids, finished):
    visit = read_layout(bids / "raw").visits[0]
    found = find(visit.case(bids / "raw"), SETTINGS)
    anat = finished / "sub-01" / "anat"
    mask = read_mask(anat / "sub-01_space-orig_label-lesion_mask.nii.gz")
    assert np.array_equal(mask.array, found.mask.array)
    sidecar = json.loads((anat / "sub-01_space-orig_label-lesion_mask.json").read_text())
    assert sidecar["Type"] == "Lesion" and sidecar["ThresholdRule"] == "quantile 0.98 of the brain"
    assert sidecar["Threshold"] == found.threshold.value and sidecar["Connectivity"] == 26
    assert sidecar["MinimumVolumeMl"] == pytest.approx(20 * 0.064)
    assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz", "bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    assert sidecar["SpatialReference"] == "bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz"
    header, *lines = (anat / "sub-01_lesions.tsv").read_text().splitlines()
    assert header.split("\t")[:3] == ["id", "volume_ml", "voxels"] and len(lines) == found.summary.n_lesions
    assert lines[0].split("\t")[8] == "n/a"  # the method gives no probability
    assert (finished / "sub-01.html").exists() and (anat / "sub-01_space-orig_desc-anomaly_score.nii.gz").exists()


def test_the_work_folder_is_gone_and_nothing_half_written_stays(finished):
    assert not (finished.parent / "work").exists()
    assert not list(finished.rglob("*.part")) and not (finished / "logs").exists()


def test_what_is_done_is_not_done_again(asked, copied, bids):
    asked = replace(asked, out=copied, truths=bids / "masks")
    before = contents_of(copied)
    assert {scan.how for scan in go(asked).values()} == {"resumed"}
    assert contents_of(copied) == before


def contents_of(out):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("sub-*_mask.nii.gz")}


@pytest.mark.parametrize("change", ["input", "threshold", "output", "half output", "state", "version"])
def test_a_scan_is_made_again_where_anything_it_depends_on_changed(asked, copied, bids, tmp_path, change, monkeypatch):
    asked = replace(asked, out=copied, root=shutil.copytree(bids / "raw", tmp_path / "raw"))
    mask = copied / "sub-01/anat/sub-01_space-orig_label-lesion_mask.nii.gz"
    settings = SETTINGS
    asked_truths = replace(asked, truths=bids / "masks")
    assert go(asked_truths, "01")["sub-01"].how == "resumed"  # a data set that was copied is the same data set
    if change == "input":
        shutil.copy(bids / "raw/sub-03/anat/sub-03_FLAIR.nii.gz", asked.root / "sub-01/anat/sub-01_FLAIR.nii.gz")
    elif change == "threshold":
        settings = replace(SETTINGS, threshold=parse_threshold("q0.9"))
    elif change == "output":
        mask.unlink()
    elif change == "half output":
        mask.write_bytes(mask.read_bytes()[:100])
    elif change == "state":
        path_of(copied, "sub-01").write_text("{")
    else:
        monkeypatch.setattr("flairline.cohort.participant.version_of", lambda _: "another")
    assert go(asked_truths, "01", settings=settings)["sub-01"].how == "done"
    assert mask.exists() and read_state(path_of(copied, "sub-01")).is_whole(copied)


def test_a_bad_scan_fails_alone_with_its_own_traceback(asked, bids, tmp_path):
    asked = replace(asked, root=shutil.copytree(bids / "raw", tmp_path / "raw"))
    bad = asked.root / "sub-02/ses-1/anat/sub-02_ses-1_FLAIR.nii.gz"
    content = bad.read_bytes()
    bad.write_bytes(content[:1000])
    ended = go(asked, "02", "03")
    assert {name: scan.how for name, scan in ended.items()} == {
        "sub-02_ses-1": "failed",
        "sub-02_ses-2": "done",
        "sub-03": "done",
    }
    state = read_state(path_of(asked.out, "sub-02_ses-1"))
    assert state.status == "failed" and "cut off" in state.error and not state.died
    log = asked.out / "logs" / "sub-02_ses-1.txt"
    assert "Traceback" in log.read_text() and "cut off" in log.read_text()
    assert [path.name for path in log.parent.iterdir()] == [log.name]
    bad.write_bytes(content)  # mended: the next run makes it, and only it
    assert {scan.how for scan in go(asked, "03").values()} == {"resumed"}
    assert go(asked, "02")["sub-02_ses-1"].how == "done" and not log.exists()


def test_a_scan_that_another_process_has_is_left_to_it(asked):
    with locked(asked.out, "sub-03"):
        scan = go(asked, "03")["sub-03"]
    assert scan.how == "elsewhere" and "is being worked on by" in scan.words
    assert go(asked, "03")["sub-03"].how == "done"


def test_an_unknown_method_stops_before_anything_is_written(asked):
    with pytest.raises(UnknownNameError):
        go(asked, "01", settings=Settings("histec"))
    assert not asked.out.exists()


def test_an_output_folder_that_is_a_file(asked):
    asked.out.write_text("")
    with pytest.raises(OutputError, match="is a file"):
        go(asked, "01")


@pytest.mark.parametrize("bad", [False, True])
def test_what_other_parameters_made_does_not_stay_beside(asked, copied, tmp_path, bad):
    """A probability map and transforms of another method's run, and all of a scan that fails now, would be believed."""
    anat = copied / "sub-01" / "anat"
    earlier = ("space-orig_label-lesion_probseg.nii.gz", "from-orig_to-mni_mode-image_xfm.txt")
    for name in earlier:
        (anat / f"sub-01_{name}").touch()
    drawn = anat / "sub-01_space-orig_label-lesion_desc-edited_mask.nii.gz"
    drawn.touch()  # a name that this program never writes: somebody's own
    raw = shutil.copytree(asked.root, tmp_path / "raw")
    if bad:
        (raw / "sub-01/anat/sub-01_FLAIR.nii.gz").write_bytes(b"no image")
    settings = replace(SETTINGS, threshold=parse_threshold("q0.9"))
    state = go(replace(asked, root=raw, out=copied), "01", settings=settings)["sub-01"].state
    left = {path.relative_to(copied).as_posix() for path in anat.iterdir()} - {drawn.relative_to(copied).as_posix()}
    assert left == {path for path in state.outputs if path.startswith("sub-01/")} and drawn.exists()
    assert (copied / "sub-01.html").exists() is not bad and (copied / "sub-03.html").exists()


def test_a_data_set_of_others_is_not_written_over(asked, bids, tmp_path):
    raw = shutil.copytree(bids / "raw", tmp_path / "raw")
    for out in (raw, tmp_path / "fmriprep"):
        out.mkdir(exist_ok=True)
        (out / "dataset_description.json").write_text('{"Name": "theirs", "GeneratedBy": [{"Name": "fMRIPrep"}]}')
        (out / "README.md").write_text("theirs")
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        with pytest.raises(OutputError, match=r"a folder of its own .*derivatives/flairline"):
            go(replace(asked, root=raw, out=out), "01")
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # A folder that holds no data set may have a README, which stays.
    asked.out.mkdir()
    (asked.out / "README.md").write_text("mine")
    assert go(asked, "01")["sub-01"].how == "done" and (asked.out / "README.md").read_text() == "mine"
    assert go(asked, "01")["sub-01"].how == "resumed"  # our own description is no other's


@pytest.mark.parametrize("keep", [False, True])
def test_the_work_of_a_scan_goes_when_it_is_done_unless_it_is_kept(asked, keep):
    step = asked.work / "sub-01" / "brain.nii.gz"
    step.parent.mkdir(parents=True)
    step.touch()
    go(replace(asked, keep_work=keep), "01")
    assert step.exists() is keep and asked.work.exists() is keep


def test_pages_again(asked, copied):
    page = copied / "sub-03.html"
    page.write_text("gone")
    ended = list(write_pages(read_layout(asked.root), replace(asked, out=copied)))
    assert len(ended) == 4 and {scan.how for scan in ended} == {"done"}
    assert "sub-03" in page.read_text() and len(page.read_text()) > 10_000
    assert read_state(path_of(copied, "sub-03")).is_whole(copied)
    assert "scan and atlas, one over the other" not in page.read_text()  # it was not registered


def test_pages_again_are_not_made_of_another_scan(asked, copied, tmp_path):
    raw = shutil.copytree(asked.root, tmp_path / "raw")
    shutil.copy(raw / "sub-01/anat/sub-01_FLAIR.nii.gz", raw / "sub-03/anat/sub-03_FLAIR.nii.gz")
    before = (copied / "sub-03.html").read_bytes()
    ended = {scan.name: scan for scan in write_pages(read_layout(raw), replace(asked, root=raw, out=copied))}
    assert ended["sub-01"].how == "done" and ended["sub-03"].how == "failed"
    assert "sub-03_FLAIR.nii.gz is another now" in ended["sub-03"].state.error
    assert (copied / "sub-03.html").read_bytes() == before


def test_pages_again_show_the_atlas_of_a_scan_that_was_registered(asked, copied):
    way = copied / "sub-03" / "anat" / "sub-03_from-orig_to-mni_mode-image_xfm.txt"
    write_itk(way, PointMap("atlas", "native", np.diag([1.05, 1.0, 0.95, 1.0])))
    list(write_pages(read_layout(asked.root), replace(asked, out=copied)))
    assert "scan and atlas, one over the other" in (copied / "sub-03.html").read_text()
    assert "scan and atlas, one over the other" not in (copied / "sub-01.html").read_text()


def test_parameters_name_no_place_of_this_machine():
    assert "/" not in json.dumps(parameters_of(SETTINGS))


@pytest.mark.parametrize(("memory", "wanted"), [(None, 8), (6, 2), (7.5, 2), (1, 1), (100, 8)])
def test_memory_bounds_the_workers(memory, wanted):
    workers = Workers(8, memory)
    assert workers.that_fit == wanted
    told = " ".join(workers.notes)
    assert (f"enough for {wanted} of 8 processes" in told) is (wanted < 8) and ("may want 3 GB" in told) is (
        memory == 1
    )


def test_what_a_cluster_does_not_look_at_is_told():
    assert Workers(scheduler="tcp://a:1").notes == []
    assert "the cluster says" in Workers(4, scheduler="tcp://a:1").notes[0] == Workers(1, 8, "tcp://a:1").notes[0]
