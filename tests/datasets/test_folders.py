"""Data sets as their owners distribute them: every layout, every way in which a folder is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from flairline import registry
from flairline.cases import catalogue as listing
from flairline.cases.check import check
from flairline.errors import InputError, UnknownNameError

FOLDERS = ("bids", "brats2020", "mslub", "msseg2015", "wmh2017")


def dataset(name: str, folder: Path):
    return registry.load("datasets", name)(folder)


def brats(put, small, root: Path, n: int = 2, suffix: str = ".nii.gz") -> Path:
    for number in range(1, n + 1):
        flair, truth = small(number, (1, 2, 4))
        name = f"BraTS20_Training_{number:03d}"
        for role, array in (("flair", flair), ("t1", flair + 1), ("t2", flair + 2), ("t1ce", flair), ("seg", truth)):
            put(root / name / f"{name}_{role}{suffix}", array)
    return root


def mslub(put, small, root: Path, names=("patient01", "patient02"), prefix: bool = False) -> Path:
    for number, name in enumerate(names):
        flair, truth = small(number)
        start = f"{name}_" if prefix else ""
        images = {"FLAIR": flair, "T1W": flair + 1, "brainmask": flair > 0, "consensus_gt": truth}
        for role, array in images.items():
            put(root / name / f"{start}{role}.nii.gz", array.astype(np.int16))
    return root


def wmh(put, small, root: Path, versions=("orig", "pre")) -> Path:
    for place in ("Utrecht/0", "Amsterdam/GE3T/100", "Singapore/50"):
        flair, truth = small(1, (1, 2))
        for version in versions:
            for name in ("FLAIR", "T1", "3DT1"):
                put(root / place / version / f"{name}.nii.gz", flair)
        put(root / place / "wmh.nii.gz", truth)
    return root


def msseg(put, small, root: Path) -> Path:
    for scan in ("training01_01", "training01_02", "training02_01"):
        flair, truth = small(int(scan[-1]))
        person = root / scan[:10]
        for role in ("flair", "mprage", "t2", "pd"):
            put(person / "preprocessed" / f"{scan}_{role}_pp.nii", flair)
            put(person / "orig" / f"{scan}_{role}.nii.gz", flair)
        put(person / "masks" / f"{scan}_mask1.nii", truth)
        put(person / "masks" / f"{scan}_mask2.nii", truth * 0)
    return root


LAYOUTS = {"brats2020": brats, "mslub": mslub, "wmh2017": wmh, "msseg2015": msseg}
EXPECTED = {
    "brats2020": ["BraTS20_Training_001", "BraTS20_Training_002"],
    "mslub": ["patient01", "patient02"],
    "wmh2017": ["GE3T-100", "Singapore-50", "Utrecht-0"],
    "msseg2015": ["training01", "training01", "training02"],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_read_from_above_and_below(name, tmp_path, put, small):
    LAYOUTS[name](put, small, tmp_path / "archive" / "unpacked")
    for folder in (tmp_path, tmp_path / "archive", tmp_path / "archive" / "unpacked"):
        cases = dataset(name, folder).cases()
        assert [case.subject for case in cases] == EXPECTED[name]
        assert {case.dataset for case in cases} == {name}
        assert all(case.flair.exists() and case.truth.exists() and case.t1.exists() for case in cases)


def test_a_level_below_gives_the_scans_below_it(tmp_path, put, small):
    brats(put, small, tmp_path)
    mslub(put, small, tmp_path / "lesion")
    wmh(put, small, tmp_path / "wmh")
    one = dataset("brats2020", tmp_path / "BraTS20_Training_002").cases()
    assert [case.subject for case in one] == ["BraTS20_Training_002"]
    assert [case.subject for case in dataset("mslub", tmp_path / "lesion" / "patient02").cases()] == ["patient02"]
    assert [case.subject for case in dataset("wmh2017", tmp_path / "wmh" / "Amsterdam").cases()] == ["GE3T-100"]


def test_a_level_too_deep_names_the_right_one(tmp_path, put, small):
    root = wmh(put, small, tmp_path / "training")
    with pytest.raises(InputError, match=r"give .*Utrecht/0"):
        dataset("wmh2017", root / "Utrecht" / "0" / "orig").cases()
    root = msseg(put, small, tmp_path / "isbi")
    with pytest.raises(InputError, match=r"give .*isbi/training01"):
        dataset("msseg2015", root / "training01" / "masks").cases()


def test_other_names_are_found(tmp_path, put, small):
    flair, truth = small(0, (1, 2, 4))
    for stem, ends in (
        ("BraTS2021_00002", ("_flair", "_t1", "_seg")),
        ("BraTS-GLI-00003-000", ("-t2f", "-t1n", "-seg")),
    ):
        for end, array in zip(ends, (flair, flair, truth), strict=True):
            put(tmp_path / "brats" / stem / f"{stem}{end}.nii.gz", array)
    assert len(dataset("brats2020", tmp_path / "brats").cases()) == 2
    put(tmp_path / "brats" / "BraTS20_Training_355" / "BraTS20_Training_355_flair.nii", flair)
    put(tmp_path / "brats" / "BraTS20_Training_355" / "W39_1998.09.19_Segm.nii", truth)
    misnamed = dataset("brats2020", tmp_path / "brats" / "BraTS20_Training_355").cases()
    assert misnamed[0].truth.name == "W39_1998.09.19_Segm.nii"
    mslub(put, small, tmp_path / "lab", prefix=True)
    assert [case.subject for case in dataset("mslub", tmp_path / "lab").cases()] == ["patient01", "patient02"]


def test_whose_files_they_are(tmp_path, put, small):
    """Orig before pre, rater 1 before rater 2, 21 scans of 5 people, sites, labels."""
    wmh(put, small, tmp_path / "wmh")
    utrecht = dataset("wmh2017", tmp_path / "wmh").cases()[2]
    assert (utrecht.subject, utrecht.site, utrecht.flair.parent.name) == ("Utrecht-0", "Utrecht", "orig")
    assert utrecht.extra["ignored_labels"] == "2"
    wmh(put, small, tmp_path / "only-pre", versions=("pre",))
    assert dataset("wmh2017", tmp_path / "only-pre").cases()[0].flair.parent.name == "pre"
    msseg(put, small, tmp_path / "ms")
    first, second, _ = dataset("msseg2015", tmp_path / "ms").cases()
    assert (first.subject, second.subject, first.session, second.session) == ("training01", "training01", "01", "02")
    assert first.truth.name == "training01_01_mask1.nii"
    rater2 = registry.load("datasets", "msseg2015")(tmp_path / "ms", rater=2).cases()[0]
    assert rater2.truth.name == "training01_01_mask2.nii"
    kind = registry.load("datasets", "msseg2015")
    assert len(kind.subjects) == 21
    assert len({name[:10] for name in kind.subjects}) == 5


def test_frozen_lists():
    sizes = {name: len(registry.load("datasets", name).subjects) for name in FOLDERS}
    assert sizes == {"bids": 0, "brats2020": 369, "mslub": 30, "msseg2015": 21, "wmh2017": 60}
    for name in FOLDERS:
        kind = registry.load("datasets", name)
        assert len(set(kind.subjects)) == len(kind.subjects)
        assert kind.licence and kind.how_to_get and kind.citation and kind.address.startswith("https://")
        assert kind(Path()).healthy() == []


def test_the_wrong_part_is_recognised(tmp_path, put, small):
    mslub(put, small, tmp_path / "cross_sectional" / "raw")
    with pytest.raises(InputError, match=r"raw part.*coregistered_resampled"):
        dataset("mslub", tmp_path).cases()
    mslub(put, small, tmp_path / "cross_sectional" / "coregistered_resampled", names=("patient05",))
    assert [case.subject for case in dataset("mslub", tmp_path).cases()] == ["patient05"]
    flair, _ = small()
    put(tmp_path / "b" / "BraTS20_Validation_001" / "BraTS20_Validation_001_flair.nii.gz", flair)
    with pytest.raises(InputError, match="validation set"):
        dataset("brats2020", tmp_path / "b").cases()
    put(tmp_path / "c" / "HGG" / "BraTS19_CBICA_AAB_1" / "BraTS19_CBICA_AAB_1_flair.nii.gz", flair)
    with pytest.raises(InputError, match="another year"):
        dataset("brats2020", tmp_path / "c").cases()


def test_half_unpacked_is_named(tmp_path, put, small):
    root = brats(put, small, tmp_path / "brats", n=3)
    (root / "BraTS20_Training_002" / "BraTS20_Training_002_seg.nii.gz").unlink()
    known = dataset("brats2020", root)
    assert [case.subject for case in known.cases()] == ["BraTS20_Training_001", "BraTS20_Training_003"]
    ((name, reason),) = known.left_out()
    assert name == "brats2020/BraTS20_Training_002"
    assert "truth" in reason
    for seg in root.glob("*/*_seg.nii.gz"):
        seg.unlink()
    with pytest.raises(InputError, match="half unpacked"):
        known.cases()


def test_a_whole_copy_beside_does_not_make_a_half_one_a_level_too_deep(tmp_path, put, small):
    half = brats(put, small, tmp_path / "a" / "brats")
    brats(put, small, tmp_path / "b" / "brats")
    for seg in half.glob("*/*_seg.nii.gz"):
        seg.unlink()
    with pytest.raises(InputError, match="half unpacked"):
        dataset("brats2020", half).cases()


def test_no_folder_and_nothing_in_it(tmp_path, put, small):
    with pytest.raises(InputError, match="not there"):
        dataset("mslub", tmp_path / "no").cases()
    with pytest.raises(InputError, match="flairline datasets fetch mslub"):
        dataset("mslub", tmp_path).cases()
    with pytest.raises(UnknownNameError, match="mslub"):
        listing.on_disk("mslob", tmp_path)
    with pytest.raises(InputError, match="--cases"):
        listing.on_disk("cases", tmp_path)


def test_bids(tmp_path, put, small):
    flair, truth = small()
    put(tmp_path / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", flair)
    put(tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz", flair)
    put(tmp_path / "derivatives" / "raters" / "sub-01" / "anat" / "sub-01_label-lesion_mask.nii.gz", truth)
    put(tmp_path / "derivatives" / "raters" / "sub-01" / "anat" / "sub-01_space-MNI_label-lesion_mask.nii.gz", truth)
    put(tmp_path / "derivatives" / "strip" / "sub-01" / "anat" / "sub-01_desc-brain_mask.nii.gz", truth)
    for session in ("1", "2"):
        folder = tmp_path / "sub-02" / f"ses-{session}" / "anat"
        put(folder / f"sub-02_ses-{session}_acq-3d_FLAIR.nii.gz", flair)
        put(folder / f"sub-02_ses-{session}_lesion_mask.nii.gz", truth)
    first, second, third = dataset("bids", tmp_path).cases()
    assert (first.subject, first.session, first.brain.name) == ("sub-01", "", "sub-01_desc-brain_mask.nii.gz")
    assert first.truth.name == "sub-01_label-lesion_mask.nii.gz"
    assert [(one.subject, one.session) for one in (second, third)] == [("sub-02", "ses-1"), ("sub-02", "ses-2")]
    assert second.truth.name == "sub-02_ses-1_lesion_mask.nii.gz"


def test_links_that_lead_back_are_not_followed(tmp_path, put, small):
    root = brats(put, small, tmp_path / "brats", n=2)
    (root / "again").symlink_to("..")
    (root / "BraTS20_Training_001" / "self").symlink_to(".")
    (tmp_path / "linked").symlink_to(root)
    assert len(dataset("brats2020", root).cases()) == 2 and dataset("brats2020", root).several() == []
    assert len(dataset("brats2020", tmp_path / "linked").cases()) == 2


def test_check_names_everything_that_is_wrong(tmp_path, put, small):
    root = brats(put, small, tmp_path / "brats", n=6)

    def of(number: int, role: str) -> Path:
        return root / f"BraTS20_Training_{number:03d}" / f"BraTS20_Training_{number:03d}_{role}.nii.gz"

    of(2, "flair").write_bytes(of(2, "flair").read_bytes()[:60])
    put(of(3, "seg"), small(3, (1, 7))[1])
    put(of(4, "seg"), np.zeros((7, 8, 9), np.uint8))
    put(of(5, "seg"), small(5)[1][:, :, :8])
    of(6, "flair").unlink()
    shutil.copy(of(1, "flair"), of(6, "flair"))
    of(6, "t1").unlink()
    shutil.copytree(root / "BraTS20_Training_001", root / "copy" / "BraTS20_Training_001")
    result = check(dataset("brats2020", root))
    found = {(finding.kind, finding.scan): finding.what for finding in result.findings if finding.scan[-1] in "23456"}
    assert found.pop(("unreadable", "BraTS20_Training_002")).find("cut off") > 0
    assert "labels 7: wanted only 0, 1, 2, 4" in found.pop(("odd", "BraTS20_Training_003"))
    assert "empty truth" in found.pop(("odd", "BraTS20_Training_004"))
    assert "grid" in found.pop(("odd", "BraTS20_Training_005"))
    assert "as BraTS20_Training_001" in found.pop(("odd", "BraTS20_Training_006"))
    assert ("missing", "BraTS20_Training_006") in found
    assert any("comes twice" in finding.what for finding in result.findings)
    assert (result.there, result.usable, result.failed) == (6, 3, 3)
    assert "again" in result.next_step


def test_check_of_a_whole_and_of_a_strange_release(tmp_path, put, small):
    names = registry.load("datasets", "mslub").subjects
    whole = check(dataset("mslub", mslub(put, small, tmp_path / "mslub", names=names)))
    assert whole.usable == whole.expected == 30
    assert whole.findings == []
    assert whole.next_step.startswith("All is there")
    flair, truth = small(0, (1, 2, 4))
    for end, array in (("_flair", flair), ("_t1", flair), ("_seg", truth)):
        put(tmp_path / "b" / "BraTS2021_00002" / f"BraTS2021_00002{end}.nii.gz", array)
    strange = check(dataset("brats2020", tmp_path / "b"))
    assert any("not of the release" in finding.what for finding in strange.findings)


def test_command_line(flairline, tmp_path, put, small):
    listed = flairline("datasets")
    assert listed.code == 0
    assert "mslub\t" in listed.out
    assert "5 people" in listed.out
    root = brats(put, small, tmp_path / "brats", n=3)
    done = flairline("datasets", "check", "brats2020", root)
    assert done.code == 0
    assert "3 of 369 scans can be used" in done.out
    flair = root / "BraTS20_Training_002" / "BraTS20_Training_002_flair.nii.gz"
    flair.write_bytes(b"")
    done = flairline("datasets", "check", "brats2020", root, "--json")
    assert done.code == 1
    assert '"unreadable"' in done.out
    assert flairline("datasets", "check", "brats2020", tmp_path / "none").code == 2
    assert "CBICA" in flairline("datasets", "fetch", "brats2020").line


def test_bids_takes_no_image_from_derivatives_or_sourcedata(tmp_path, put, small):
    """The FLAIRs of derivatives/ came first: an oracle Dice of .03 for 1.0."""
    flair, truth = small()
    for part in ("derivatives/fmriprep", "sourcedata"):
        for kind in ("FLAIR", "T1w", "T2w"):
            put(tmp_path / part / "sub-01" / "anat" / f"sub-01_{kind}.nii.gz", flair + 50)
    put(tmp_path / "derivatives" / "raters" / "sub-01" / "anat" / "sub-01_label-lesion_mask.nii.gz", truth)
    with pytest.raises(InputError, match="found none"):
        dataset("bids", tmp_path).cases()
    for kind in ("FLAIR", "T1w"):
        put(tmp_path / "sub-01" / "anat" / f"sub-01_{kind}.nii.gz", flair)
    known = dataset("bids", tmp_path)
    (case,) = known.cases()
    assert (case.flair, case.t1, case.t2) == (
        tmp_path / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz",
        tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz",
        None,
    )
    assert case.truth is not None and known.several() == []


def test_bids_of_one_pipeline_may_be_named_itself(tmp_path, put, small):
    flair, truth = small()
    folder = tmp_path / "derivatives" / "raters"
    put(folder / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", flair)
    put(folder / "sub-01" / "anat" / "sub-01_label-lesion_mask.nii.gz", truth)
    assert len(dataset("bids", folder).cases()) == 1


@pytest.mark.parametrize("other", ["sub-01_acq-3d_FLAIR.nii.gz", "sub-01_run-2_FLAIR.nii.gz", "sub-01_FLAIR.nii"])
def test_several_candidates_are_said_by_check_and_by_benchmark(other, tmp_path, put, small, flairline):
    flair, truth = small()
    for name in ("sub-01_FLAIR.nii.gz", other):
        put(tmp_path / "bids" / "sub-01" / "anat" / name, flair)
    put(tmp_path / "bids" / "sub-01" / "anat" / "sub-01_label-lesion_mask.nii.gz", truth)
    (line,) = dataset("bids", tmp_path / "bids").several()
    used, left = sorted([other, "sub-01_FLAIR.nii.gz"])
    folder = tmp_path / "bids" / "sub-01" / "anat"
    assert line == f"bids, 01: flair comes twice: {folder / used} is used, not {folder / left}."
    checked = flairline("datasets", "check", "bids", tmp_path / "bids")
    assert "twice" in checked.out
    out = tmp_path / "out"
    ran = flairline("benchmark", "--dataset", f"bids={tmp_path / 'bids'}", "--method", "histeq",
                    "--no-controls", "--protocol", "native", "-o", out)  # fmt: skip
    assert ran.code == 0, ran.err
    assert line in ran.err
