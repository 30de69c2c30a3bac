from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from flairline.errors import BrainError, GridError, InputError, OutputError, UnknownNameError
from flairline.imaging.points import carry_mask, identity
from flairline.io.nifti import read_mask, read_volume, write_volume
from flairline.postprocess.threshold import BrainQuantile
from flairline.preprocess import brain as brain_module
from flairline.preprocess.images import is_raw, read_images
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings, preprocess_settings
from flairline.segmentation import Settings, segment_case
from flairline.types import Case, Mask, Space, Volume


def centre_mm(mask: Mask) -> np.ndarray:
    middle = np.argwhere(mask.array).mean(axis=0)
    return (mask.space.vox_to_ras @ [*middle, 1.0])[:3]


def largest(mask: Mask) -> Mask:
    from scipy import ndimage

    labels, _ = ndimage.label(mask.array)
    return Mask(labels == np.bincount(labels.ravel())[1:].argmax() + 1, mask.space)


def prepare(case, settings, work, ran=None):
    """`read_scan`; the names of the steps that run are added to `ran`."""
    if ran is None:
        return read_scan(case, settings, work)
    return read_scan(case, settings, work, lambda step, done, total: ran.append(step))


@pytest.fixture
def settings(head, coarse_registration) -> PreprocessSettings:
    return PreprocessSettings(atlas=str(head.atlas_file))


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_left_is_left_from_raw_scan_to_native_and_atlas_mask(orientation, head, turned_head, settings, tmp_path):
    one = turned_head if orientation == "oblique" else head
    case = one.write(tmp_path / "in", "LPS" if orientation == "oblique" else orientation)
    run = Settings("histeq", threshold=BrainQuantile(0.999), preprocess=settings, space="both", work=tmp_path / "work")
    folder = segment_case(case, tmp_path / "out", run).folder

    mask = read_mask(folder / "mask.nii.gz")
    assert mask.space.same_grid(read_volume(case.flair).space)
    stored = nib.load(folder / "mask.nii.gz")
    np.testing.assert_allclose(stored.affine, nib.load(case.flair).affine, atol=1e-5)
    np.testing.assert_allclose(centre_mm(largest(mask)), one.lesion_mm, atol=3.0)

    on_atlas = largest(read_mask(folder / "mask_space-atlas.nii.gz"))
    np.testing.assert_allclose(centre_mm(on_atlas), one.lesion_atlas_mm, atol=5.0)

    # As Slicer would: the file carries the native mask onto the atlas, and back.
    there = sitk.ReadTransform(str(folder / "from-native_to-atlas_xfm.tfm"))
    back = sitk.ReadTransform(str(folder / "from-atlas_to-native_xfm.tfm"))
    native = sitk.ReadImage(str(folder / "mask.nii.gz"))
    atlas = sitk.ReadImage(str(folder / "mask_space-atlas.nii.gz"))
    carried = sitk.GetArrayFromImage(sitk.Resample(native, atlas, there, sitk.sitkNearestNeighbor)) > 0
    ours = sitk.GetArrayFromImage(atlas) > 0
    assert 2 * np.count_nonzero(carried & ours) / (carried.sum() + ours.sum()) > 0.75
    native_point = np.array(back.GetInverse().TransformPoint(tuple(one.lesion_atlas_mm * [-1, -1, 1])))
    assert np.linalg.norm(native_point * [-1, -1, 1] - one.lesion_mm) < 5.0


def test_same_input_twice_gives_the_same_bytes(head, settings, tmp_path):
    case = head.write(tmp_path / "in")
    names = ["score.nii.gz", "mask.nii.gz", "brain.nii.gz", "mask_space-atlas.nii.gz", "from-native_to-atlas_xfm.tfm"]
    folders = [
        segment_case(case, tmp_path / out, Settings("histeq", preprocess=settings, space="both", work=work)).folder
        for out, work in (("one", None), ("two", tmp_path / "work"), ("three", tmp_path / "work"))
    ]
    for name in names:
        contents = {(folder / name).read_bytes() for folder in folders}
        assert len(contents) == 1, name


def test_a_second_run_repeats_nothing_and_a_changed_parameter_only_what_hangs_on_it(head, settings, tmp_path):
    case = head.write(tmp_path / "in")
    ran: list[str] = []
    first = prepare(case, settings, tmp_path / "work", ran)
    assert ran == ["pair", "brain", "atlas", "figures"]
    ran.clear()
    again = prepare(case, settings, tmp_path / "work", ran)
    assert ran == []
    np.testing.assert_array_equal(first.scan.brain.array, again.scan.brain.array)
    assert dict(first.figures) == pytest.approx(dict(again.figures), nan_ok=True)
    prepare(case, replace(settings, bias=True), tmp_path / "work", ran)
    assert ran == ["bias"]


def test_a_changed_input_is_computed_again(head, settings, tmp_path):
    case = head.write(tmp_path / "in")
    prepare(case, settings, tmp_path / "work")
    image = nib.load(case.flair)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * 2, image.affine), case.flair)
    ran: list[str] = []
    prepare(case, settings, tmp_path / "work", ran)
    assert "pair" in ran


def test_a_damaged_result_is_computed_again(head, settings, tmp_path, caplog):
    case = head.write(tmp_path / "in")
    prepare(case, settings, tmp_path / "work")
    (kept,) = (tmp_path / "work").glob("brain-*/result.nii.gz")
    kept.write_bytes(kept.read_bytes()[:100])
    ran: list[str] = []
    prepare(case, settings, tmp_path / "work", ran)
    assert ran == ["brain"]
    assert "damaged" in caplog.text


KILLED_AT = """
import os, signal, sys
from pathlib import Path
import numpy as np
from flairline.io import store
from flairline.preprocess import brain, cache, preparing, register
from flairline.preprocess.settings import PreprocessSettings
from flairline.segmentation import Settings, segment_case
from flairline.types import Case
register.FIXED_MM, register.GREEDY_LEVELS = 4.0, "40x20"
folder, work, atlas, step, moment = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
preparing.default_extractor = lambda: "deepbet"
brain._deepbet = lambda image, name: np.load(folder / f"{name}.npy")
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if step == "write":
    import flairline.segmentation as segment
    segment.write_mask = die
else:
    keep = cache.Cache.keep
    def killed(self, key, result, form, heard):
        if key.name == step and moment == "before":
            die()
        if key.name == step:
            store.write_json = die
        keep(self, key, result, form, heard)
    cache.Cache.keep = killed
case = Case("s", "head", flair=folder / "in/flair.nii.gz", t1=folder / "in/t1.nii.gz")
run = Settings("histeq", preprocess=PreprocessSettings(atlas=atlas, bias=True), work=work)
segment_case(case, folder / "out", run)
"""


def test_killed_at_every_step_and_run_again(head, settings, tmp_path, monkeypatch):
    """Each time with the results of all other steps at hand, so that exactly the killed step is run again."""
    case = head.write(tmp_path / "in", with_brain=False)
    masks = {"the t1": carry_mask(head.brain, head.t1.space, identity("t1", "flair")).array}
    masks["the flair"] = head.brain.array
    for name, mask in masks.items():
        np.save(tmp_path / f"{name}.npy", mask)
    fake_extraction(monkeypatch, masks)
    settings = replace(settings, bias=True)
    whole = Settings("histeq", preprocess=settings, work=tmp_path / "whole")
    clean = segment_case(case, tmp_path / "clean", whole).folder
    steps = ["brain-t1", "brain-flair", "pair", "atlas", "brain", "bias", "figures"]
    assert {kept.name.rpartition("-")[0] for kept in whole.work.iterdir()} == set(steps)
    for step, moment in [*((step, "while") for step in steps), ("pair", "before"), ("write", "")]:
        work = tmp_path / f"work-{step}-{moment}"
        shutil.copytree(whole.work, work, ignore=lambda _, names, step=step: [n for n in names if _is_of(n, step)])
        process = subprocess.run(
            [sys.executable, "-c", KILLED_AT, tmp_path, work, head.atlas_file, step, moment],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()[-500:]
        assert not (tmp_path / "out/head/summary.json").exists()
        assert len(list(work.glob(".part-*"))) == (moment == "while")
        ran: list[str] = []
        prepare(case, settings, work, ran)
        assert ran == ([] if step == "write" else [step])
        assert not list(work.glob(".part-*"))
        again = segment_case(case, tmp_path / "out", replace(whole, work=work, overwrite=True)).folder
        for name in ("score.nii.gz", "mask.nii.gz", "brain.nii.gz", "from-native_to-atlas_xfm.tfm"):
            assert (again / name).read_bytes() == (clean / name).read_bytes()
        shutil.rmtree(again)


def _is_of(kept: str, step: str) -> bool:
    """Whether a folder of kept results is that of a step."""
    return kept.rpartition("-")[0] == step


def test_a_full_disk_ends_in_one_line_and_leaves_nothing_half_written(head, settings, tmp_path, monkeypatch):
    case = head.write(tmp_path / "in")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flairline.io.files.os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        prepare(case, settings, tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_registration_needs_no_work_folder_and_leaves_nothing(head, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    case = head.write(tmp_path / "in")
    prepare(case, settings, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_summary_says_figures_flags_and_notes(head, settings, tmp_path):
    case = head.write(tmp_path / "in")
    folder = segment_case(case, tmp_path / "out", Settings("histeq", preprocess=settings)).folder
    quality = json.loads((folder / "summary.json").read_text())["qc"]
    assert quality["figures"]["atlas_overlap"] > 0.9
    assert quality["figures"]["coverage"] > 0.95
    assert quality["figures"]["atlas_similarity_gain"] > 0
    assert quality["atlas"] == "atlas"
    assert any("given file" in note for note in quality["notes"])


def test_a_stripped_scan_is_detected_and_keeps_its_grid_without_an_atlas(head, tmp_path):
    case = head.write(tmp_path / "in")
    image = nib.load(case.flair)
    brain = np.asarray(nib.load(case.brain).dataobj) > 0
    nib.save(nib.Nifti1Image(np.where(brain, np.asarray(image.dataobj), 0), image.affine), case.flair)
    alone = replace(case, t1=None, brain=None)
    assert not is_raw(alone, read_images(alone))
    found = prepare(alone, PreprocessSettings(stripped="prepare"), None)
    assert found.atlas is None
    assert any("skull-stripped" in note for note in found.notes)
    np.testing.assert_array_equal(found.scan.brain.array, brain)
    with pytest.raises(InputError, match="not registered"):
        found.atlas_scan()


def test_a_head_with_zeros_around_it_is_not_taken_for_a_stripped_brain(head, tmp_path):
    case = head.write(tmp_path / "in", with_brain=False)
    image = nib.load(case.flair)
    array = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(array > 0.1, array, 0), image.affine), case.flair)
    alone = replace(case, t1=None)
    assert is_raw(alone, read_images(alone))


def test_a_scan_already_on_the_atlas_is_not_registered_again(head, tmp_path):
    case = replace(head.write(tmp_path / "in"), flair=head.atlas_file, t1=None, brain=None)
    found = prepare(case, PreprocessSettings(atlas=str(head.atlas_file), to_atlas="always"), None)
    assert found.atlas_to_native is not None
    np.testing.assert_array_equal(found.atlas_to_native.ras_to_ras, np.eye(4))
    assert any("already" in note for note in found.notes)


def test_a_brain_on_no_known_grid_is_refused(head, settings, tmp_path):
    case = replace(head.write(tmp_path / "in"), brain=head.atlas_file)
    with pytest.raises(GridError, match="not on one grid"):
        prepare(case, settings, None)


def test_none_refuses_a_scan_with_skull(head, settings, tmp_path):
    case = head.write(tmp_path / "in", with_brain=False)
    with pytest.raises(BrainError, match="skull-stripped"):
        prepare(case, replace(settings, brain="none"), None)


def fake_extraction(monkeypatch, masks) -> None:
    """Brain extraction that gives known masks: engines are tested on real heads."""
    monkeypatch.setattr(brain_module, "default_extractor", lambda: "deepbet")
    monkeypatch.setattr("flairline.preprocess.preparing.default_extractor", lambda: "deepbet")
    monkeypatch.setattr(brain_module, "_deepbet", lambda image, name: masks[name])


def test_extracted_brains_are_brought_to_the_flair_by_what_the_settings_say(head, settings, tmp_path, monkeypatch):
    case = head.write(tmp_path / "in", with_brain=False)
    t1_brain = carry_mask(head.brain, head.t1.space, identity("t1", "flair"))
    smaller = head.brain.array & (np.indices(head.brain.array.shape)[2] > 10)
    fake_extraction(monkeypatch, {"the t1": t1_brain.array, "the flair": smaller})
    by_t1 = prepare(case, settings, None)
    by_flair = prepare(case, replace(settings, strip_on="flair"), None)
    np.testing.assert_array_equal(by_flair.scan.brain.array, smaller)
    both = by_t1.scan.brain.array & head.brain.array
    assert 2 * both.sum() / (by_t1.scan.brain.array.sum() + head.brain.array.sum()) > 0.95
    assert 0.8 < by_t1.figures["t1_flair_overlap"] < 1.0


def test_brains_of_two_heads_are_refused_with_the_figure(head, settings, tmp_path, monkeypatch):
    case = head.write(tmp_path / "in", with_brain=False)
    t1_brain = carry_mask(head.brain, head.t1.space, identity("t1", "flair"))
    elsewhere = np.zeros(head.flair.space.shape, bool)
    elsewhere[20:45, 20:45, 30:44] = True
    fake_extraction(monkeypatch, {"the t1": t1_brain.array, "the flair": elsewhere})
    with pytest.raises(BrainError, match=r"overlap by a Dice of 0\.\d+"):
        prepare(case, settings, None)


def test_no_brain_found_is_one_line(head, settings, tmp_path, monkeypatch):
    case = head.write(tmp_path / "in", with_brain=False)
    fake_extraction(monkeypatch, {"the t1": np.zeros(head.t1.space.shape, bool)})
    with pytest.raises(BrainError, match="0 ml of brain in the t1"):
        prepare(case, settings, None)


def test_a_flair_alone_goes_to_the_atlas_itself(head, settings, tmp_path):
    case = replace(head.write(tmp_path / "in"), t1=None)
    found = prepare(case, settings, None)
    assert found.figures["atlas_overlap"] > 0.9
    there = found.mask_to_atlas(found.scan.brain)
    carried = carry_mask(there, found.scan.space, found.atlas_to_native.inverse()).array
    both = carried & found.scan.brain.array
    assert 2 * both.sum() / (carried.sum() + found.scan.brain.array.sum()) > 0.95


def test_words_of_the_command_line_are_checked():
    with pytest.raises(UnknownNameError, match="deepbet"):
        preprocess_settings("deepbt", "t1", "greedy", "mni", False)
    with pytest.raises(UnknownNameError, match="flair"):
        preprocess_settings("auto", "t2", "greedy", "mni", False)


def test_nothing_of_a_preparation_imports_torch_where_it_is_not_chosen(head, settings, tmp_path):
    case = head.write(tmp_path / "in")
    code = (
        "import sys\nfrom pathlib import Path\nfrom flairline.types import Case\n"
        "from flairline.preprocess import register\nregister.FIXED_MM = 4.0\n"
        "from flairline.preprocess.read import read_scan\n"
        "from flairline.preprocess.settings import PreprocessSettings\n"
        "folder = Path(sys.argv[1])\n"
        "case = Case('s', 'h', flair=folder / 'flair.nii.gz', brain=folder / 'brain.nii.gz')\n"
        "read_scan(case, PreprocessSettings(atlas=sys.argv[2]), None)\nassert 'torch' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, case.flair.parent, head.atlas_file], env=environment, check=True)
    shutil.rmtree(Path(case.flair).parent)


def test_a_knee_is_refused_with_the_figures(settings, tmp_path, monkeypatch):
    """An extractor takes a long cylinder for a brain: no map onto the atlas makes one of it."""
    space = Space((48, 48, 50), np.diag([3.0, 3.0, 4.0, 1.0]))
    x, y, z = np.indices(space.shape) * np.array([3.0, 3.0, 4.0]).reshape(3, 1, 1, 1)
    across = np.hypot(x - 70, y - 70)
    leg = np.where(across < 60, 0.8, 0.0) + np.where(np.hypot(x - 55, y - 70) < 20, 0.6, 0.0)
    leg += np.random.default_rng(0).normal(0, 0.02, space.shape)
    (tmp_path / "in").mkdir()
    write_volume(tmp_path / "in" / "flair.nii.gz", Volume(np.abs(leg).astype(np.float32), space))
    fake_extraction(monkeypatch, {"the flair": (across < 45) & (z > 8) & (z < 190)})
    case = Case("knees", "left", flair=tmp_path / "in" / "flair.nii.gz")
    with pytest.raises(BrainError, match=r"looks like none: on the atlas it overlaps by a Dice of 0\.[0-8]\d"):
        prepare(case, settings, None)
