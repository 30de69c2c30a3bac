"""Synthetic people: a BIDS folder that is valid, seeded, resumable, and that the other commands run on."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from flairline.cases import people as making
from flairline.cases.people import People, make_person, synthesise_people
from flairline.datasets.bids import Dataset
from flairline.errors import InputError
from flairline.io.nifti import read_mask, read_volume
from flairline.synthesis.anatomy import to_classes

ONE_MM = (1.0, 1.0, 1.0)


def head_of_labels() -> np.ndarray:
    """White matter in cortex in CSF in skin, with a ventricle off the middle; unequal sides, FreeSurfer's numbers."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in (64, 68, 58)), indexing="ij")
    r = np.sqrt(((x - 32) / 31) ** 2 + ((y - 34) / 32) ** 2 + ((z - 29) / 28) ** 2)
    labels = np.zeros(r.shape, np.float32)
    for limit, number in ((0.98, 515), (0.9, 24), (0.8, 3), (0.62, 2)):
        labels[r < limit] = number
    labels[np.sqrt(((x - 37) / 31) ** 2 + ((y - 31) / 32) ** 2 + ((z - 27) / 28) ** 2) < 0.2] = 4
    return labels


@pytest.fixture(scope="module")
def label_map(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "head.nii.gz"
    nib.save(nib.Nifti1Image(head_of_labels(), np.eye(4)), path)
    return path


@pytest.fixture(scope="module")
def patients(tmp_path_factory, label_map):
    """Three people with lesions, seed 5."""
    folder = tmp_path_factory.mktemp("patients")
    assert synthesise_people(People(folder, (label_map,), seed=5), 3, jobs=1).failed == {}
    return folder


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, label_map):
    """Four people without, seed 0."""
    folder = tmp_path_factory.mktemp("healthy")
    assert synthesise_people(People(folder, (label_map,), lesions=False), 4, jobs=1).failed == {}
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Hash of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def participants(folder: Path) -> list[dict[str, str]]:
    with (folder / "participants.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_bids_loader_finds_images_brains_and_truths(patients):
    cases = Dataset(patients).cases()
    assert [case.subject for case in cases] == ["sub-5p0001", "sub-5p0002", "sub-5p0003"]
    assert Dataset(patients).several() == []
    rows = participants(patients)
    for case, row in zip(cases, rows, strict=True):
        flair, t1 = read_volume(case.flair), read_volume(case.t1)
        brain, truth = read_mask(case.brain), read_mask(case.truth)
        assert flair.space.same_grid(t1.space) and flair.space.same_grid(truth.space)
        assert flair.space.spacing_mm == pytest.approx(ONE_MM)
        assert (flair.array[brain.array] >= 1).all() and (flair.array == np.rint(flair.array)).all()
        assert brain.array.any() and not truth.array[~brain.array].any()
        assert float(row["lesion_ml"]) == pytest.approx(truth.volume_ml, abs=1e-3)
        assert int(row["lesions"]) > 0
    assert any(float(row["lesion_ml"]) > 0 for row in rows)


def test_lesions_change_the_flair_where_the_truth_is_and_the_healthy_have_none(tmp_path, patients, label_map):
    synthesise_people(People(tmp_path, (label_map,), lesions=False, seed=5), 3, jobs=1)
    for case in Dataset(tmp_path).cases():
        assert not read_mask(case.truth).array.any()
        assert (tmp_path / case.subject / "anat" / f"{case.subject}_T1w.nii.gz").exists()
    assert [row["kinds"] for row in participants(tmp_path)] == ["n/a"] * 3
    assert [case.subject for case in Dataset(tmp_path).cases()] == [case.subject for case in Dataset(patients).cases()]


def test_the_same_seed_gives_the_same_bytes_and_a_person_does_not_depend_on_the_number(tmp_path, patients, label_map):
    made = synthesise_people(People(tmp_path / "two", (label_map,), seed=5), 2, jobs=1)
    assert made.names == ("sub-5p0001", "sub-5p0002")
    few, many = contents(tmp_path / "two"), contents(patients)
    of_people = [path for path in few if "sub-" in path]
    assert len(of_people) == 16 and all(few[path] == many[path] for path in of_people)
    synthesise_people(People(tmp_path / "two", (label_map,), seed=5), 3, jobs=1)  # one more, beside them
    assert contents(tmp_path / "two") == many


def test_workers_make_the_same_bytes(tmp_path, patients, label_map):
    told = []
    people = People(tmp_path, (label_map,), seed=5)
    synthesise_people(people, 3, jobs=2, progress=lambda what, done, total: told.append((done, total)))
    assert contents(tmp_path) == contents(patients) and told == [(1, 3), (2, 3), (3, 3)]


def test_another_seed_gives_other_people(patients, tmp_path, label_map):
    make_person(People(tmp_path, (label_map,), seed=6), 0)
    other = tmp_path / "sub-6p0001" / "anat" / "sub-6p0001_FLAIR.nii.gz"
    assert other.read_bytes() != (patients / "sub-5p0001" / "anat" / "sub-5p0001_FLAIR.nii.gz").read_bytes()


def test_who_is_there_is_kept_and_who_is_cut_off_is_made_again(tmp_path, patients, label_map, monkeypatch):
    people = People(tmp_path, (label_map,), seed=5)
    synthesise_people(people, 3, jobs=1)
    (tmp_path / "sub-5p0002" / "anat" / "sub-5p0002_FLAIR.json").unlink()  # written last
    (tmp_path / "sub-5p0002" / "anat" / "sub-5p0002_FLAIR.nii.gz").write_bytes(b"half")
    made = []
    monkeypatch.setattr(making, "render", lambda plan, render=making.render: made.append(plan) or render(plan))
    synthesise_people(people, 3, jobs=1)
    assert len(made) == 1 and contents(tmp_path) == contents(patients)


def test_one_persons_failure_is_that_persons(tmp_path, label_map, monkeypatch):
    def fails_on_white(plan, render=making.render):
        if not made:
            made.append(plan)
            raise RuntimeError("broken")
        return render(plan)

    made = []
    monkeypatch.setattr(making, "render", fails_on_white)
    done = synthesise_people(People(tmp_path, (label_map,)), 2, jobs=1)
    assert done.names == ("sub-0p0002",) and "broken" in done.failed["sub-0p0001"]


@pytest.mark.parametrize("other", [{"seed": 6}, {"lesions": False}, {"t1": False}, {"label_maps": ()}])
def test_a_folder_never_mixes_two_kinds(tmp_path, label_map, other):
    synthesise_people(People(tmp_path, (label_map,), seed=5), 1, jobs=1)
    before = contents(tmp_path)
    words = {"label_maps": (label_map,), "seed": 5, **other}
    with pytest.raises(InputError, match=rf"{next(iter(other)).replace('_', ' ')} differ"):
        synthesise_people(People(tmp_path, **words), 1, jobs=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_left_stays_left_however_a_label_map_lies_on_disk(tmp_path, save, label_map, orientation):
    """A head that is not its mirror image, in a file of any orientation, gives the same bytes."""
    turned = save(tmp_path / "turned.nii.gz", head_of_labels(), orientation, spacing_mm=ONE_MM)
    made = [
        make_person(People(tmp_path / name, (path,), lesions=False, seed=1), 0)
        for name, path in (("straight", label_map), ("turned", turned))
    ]
    assert made[0] == made[1]
    straight, other = contents(tmp_path / "straight"), contents(tmp_path / "turned")
    assert straight == other


def test_people_of_heads_have_a_head_and_those_of_the_atlas_none(tmp_path, patients, monkeypatch):
    case = Dataset(patients).cases()[0]
    flair, brain = read_volume(case.flair).array, read_mask(case.brain).array
    assert (flair[~brain] > 0).mean() > 0.5
    stripped = np.where(head_of_labels() > 500, 0, head_of_labels())
    monkeypatch.setattr(making, "_atlas_classes", lambda: to_classes(stripped))
    make_person(People(tmp_path), 0)
    (case,) = Dataset(tmp_path).cases()
    flair, brain = read_volume(case.flair).array, read_mask(case.brain).array
    assert not flair[~brain].any() and (flair[brain] >= 1).all()
    sidecar = json.loads(case.flair.with_name("sub-0p0001_FLAIR.json").read_text())
    assert sidecar["SkullStripped"] is True and "Nobody was scanned" in sidecar["Synthetic"]


def test_the_atlas_on_board_is_the_anatomy_where_none_is_given(monkeypatch):
    monkeypatch.setattr(making, "mni_classes", lambda: np.full((2, 3, 4), 5, np.uint8))
    making._atlas_classes.cache_clear()
    assert making._anatomy(People(Path("nowhere")), 7)[0] == "nilearn's MNI152 2009a"
    making._atlas_classes.cache_clear()


@pytest.mark.parametrize("fault", ["2 mm", "no numbers of FreeSurfer's", "no file"])
def test_a_label_map_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path, save, fault):
    path = tmp_path / "labels.nii.gz"
    if fault != "no file":
        labels = head_of_labels() if fault == "2 mm" else (head_of_labels() > 0) * 7.0
        save(path, labels, spacing_mm=(2.0, 2.0, 2.0) if fault == "2 mm" else ONE_MM)
    match = {"2 mm": "at 1 mm", "no file": "No such file"}.get(fault, "FreeSurfer's numbers")
    with pytest.raises(InputError, match=match):
        synthesise_people(People(tmp_path / "out", (path,)), 1)
    assert contents(tmp_path / "out") == {}


def test_the_folder_says_what_it_is(patients, healthy):
    card = (patients / "README").read_text()
    assert "nobody scanned" in card and "seed 5" in card and "head.nii.gz" in card
    assert "Nobody has a lesion" in (healthy / "README").read_text()
    description = json.loads((patients / "dataset_description.json").read_text())
    assert description["DatasetType"] == "raw" and "head.nii.gz" in description["License"]


@pytest.mark.parametrize("part", [".", "derivatives/truth"])
def test_the_folder_passes_the_validator(patients, part):
    validator = Path(sys.executable).parent / "bids-validator-deno"
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    environment = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    command = [validator, patients / part, "--format", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    issues = json.loads(ran.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    allowed = {"SIDECAR_KEY_RECOMMENDED", "JSON_KEY_RECOMMENDED", "TOO_FEW_AUTHORS", "README_FILE_MISSING"}
    assert {issue["code"] for issue in issues} <= allowed


def test_from_one_folder_to_a_model_and_from_another_to_rows(flairline, tmp_path, healthy, patients):
    pytest.importorskip("lightning")
    words = ("--preset", "test", "--max-minutes", "1")
    ran = flairline("fit", "ae_dense", "--dataset", f"bids={healthy}", "-o", tmp_path / "model", *words)
    assert ran.code == 0, ran.err
    model = f"ae_dense={tmp_path / 'model'}"
    ran = flairline(
        *("benchmark", "--dataset", f"bids={patients}", "--method", model, "--protocol", "sound", "--no-controls"),
        *("--pages", "none", "-o", tmp_path / "out"),
    )
    assert ran.code == 0, ran.err
    with (tmp_path / "out" / "rows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "dice_oracle" and row["method"] == model]
    assert [row["subject"] for row in rows if row["subject"].startswith("sub-")] == []
    assert len(rows) == 1 and 0 <= float(rows[0]["value"]) <= 1
    flair = Dataset(patients).cases()[0].flair
    brain = Dataset(patients).cases()[0].brain
    ran = flairline("segment", flair, "--brain", brain, "--method", model, "--threshold", "0.5", "-o", tmp_path)
    assert ran.code == 0, ran.err
    assert list(tmp_path.rglob("mask.nii.gz"))
    ran = flairline("benchmark", "--dataset", f"bids={healthy}", "--method", model, "-o", tmp_path / "seen")
    assert ran.code == 2 and "has seen the patients" in ran.err


def test_the_command_line_makes_them_and_says_how_to_use_them(flairline, tmp_path, label_map):
    words = ("-n", "1", "--lesion-free", "--no-t1", "--seed", "2", "-j", "1", "-o", tmp_path / "out")
    ran = flairline("synthesise", label_map, *words)
    assert ran.code == 0 and "1 healthy people" in ran.out
    assert f"fit METHOD --dataset bids={tmp_path / 'out'}" in ran.out
    assert not list((tmp_path / "out").rglob("*T1w*"))
    again = flairline("synthesise", label_map, *words, "--json")
    assert json.loads(again.out)["people"] == ["sub-2p0001"]
