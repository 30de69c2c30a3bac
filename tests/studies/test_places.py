"""The study that tells where lesions lie: places, sizes and counting, on drawn heads."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SPACING_MM = (1.0, 1.5, 2.0)
SHAPE = (61, 53, 47)


@pytest.fixture(scope="module")
def places():
    path = Path(__file__).parents[2] / "studies" / "places.py"
    spec = importlib.util.spec_from_file_location("studies_places", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def anatomy(places):
    ventricle, cortex, below = (np.zeros(SHAPE, bool) for _ in range(3))
    ventricle[28:33, 24:29, 22:26] = True
    cortex[:4] = cortex[-4:] = True
    below[:, :, :8] = True
    return places.parts_of(below, ventricle, cortex)


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [
        ((28, 24, 2), (31, 27, 5), "infratentorial"),
        ((1, 20, 20), (4, 23, 23), "cortical"),
        ((2, 20, 20), (5, 23, 23), "cortical"),  # two thirds of it
        ((3, 20, 20), (6, 23, 23), "juxtacortical"),
        ((6, 20, 20), (9, 23, 23), "juxtacortical"),  # 3 mm away
        ((7, 20, 20), (10, 23, 23), "deep"),
        ((35, 24, 22), (38, 27, 25), "periventricular"),  # 3 mm away
        ((36, 24, 22), (39, 27, 25), "deep"),
        ((28, 30, 22), (31, 33, 25), "periventricular"),  # two voxels of 1.5 mm
        ((28, 31, 22), (31, 34, 25), "deep"),
        ((5, 24, 22), (29, 27, 25), "periventricular"),  # reaches both: the ventricle comes first
        ((28, 24, 5), (31, 27, 12), "deep"),  # most of it is above
    ],
)
def test_a_lesion_lies_where_it_was_drawn(places, anatomy, low, high, place):
    labels = np.zeros(SHAPE, np.int32)
    labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    (region,) = places.regions_of(labels, anatomy, SPACING_MM)
    assert places.WORDS.get(region, region) == place


def test_ventricles_are_the_deep_fluid_and_not_the_sulci(places):
    shape = (91, 71, 51)
    brain = np.zeros(shape, bool)
    brain[2:-2, 2:-2, 2:-2] = True
    inside, sulcus = np.zeros(shape, bool), np.zeros(shape, bool)
    inside[40:50, 30:40, 22:28] = True
    sulcus[40:50, 2:14, 22:28] = True
    found = places.ventricles(inside | sulcus, brain, SPACING_MM)
    assert found.any()
    assert not (found & ~inside).any()
    assert found.sum() > 0.8 * inside.sum()
    assert not places.ventricles(np.zeros(shape, bool), brain, SPACING_MM).any()


def test_sizes_have_inclusive_lower_bounds(places):
    assert places.size_of(0.001) == "0 to 0.02 ml"
    assert places.size_of(0.02) == "0.02 to 0.1 ml"
    assert places.size_of(5.0) == ">= 5 ml"


def test_found_and_all_are_counted_by_place_and_data_set(places):
    rows = [
        {"dataset": "a", "place": "deep", "ml": 0.03, "found": {"m": True}},
        {"dataset": "a", "place": "deep", "ml": 0.01, "found": {"m": False}},
        {"dataset": "b", "place": "cortical", "ml": 9.0, "found": {"m": False}},
    ]
    assert places.recall(rows, "place", "m") == {"deep": (1, 2), "cortical": (0, 1)}
    assert places.recall(rows, "size", "m")["0.02 to 0.1 ml"] == (1, 1)
    lines = places.table(rows, "place", places.PLACES, ["m"]).splitlines()
    assert lines[0] == "| place | `m` a | `m` b | `m` all |"
    assert "| deep | 1 / 2 |  | 1 / 2 |" in lines
    assert "| cortical |  | 0 / 1 | 0 / 1 |" in lines


def test_a_phantom_lesion_is_found_and_placed(places, tmp_path):
    """The whole way: registration to an atlas that is the phantom's own template, and one recipe without training."""
    import nibabel as nib

    from flairline.preprocess.atlas import load_atlas
    from flairline.synthesis.phantom import Lesion, phantom
    from flairline.types import Case

    scan, truth, _ = phantom(5, 4.0, [Lesion("tumour", (32.0, -20.0, 22.0), 20.0)], "LPS")
    t1 = load_atlas("mni").t1
    vox_to_ras = t1.space.vox_to_ras @ np.diag([2, 2, 2, 1])
    small = t1.array[::2, ::2, ::2].astype(np.float32)
    z = vox_to_ras[2, 3] + 2.0 * np.arange(small.shape[2])
    regions = np.where(small > 0, np.where(z < -20, 181, 21), 0).astype(np.uint8)
    for name, array in (("spgr", small), ("lpba40", regions), ("tissues", 3 * (small > 0).astype(np.uint8))):
        nib.save(nib.Nifti1Image(array, vox_to_ras), tmp_path / f"{name}.nii.gz")
    files = {}
    for name, array in (("flair", scan.flair.array), ("truth", truth.array.astype(np.uint8))):
        files[name] = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(array, scan.space.vox_to_ras), files[name])
    rows = places.lesions_of(Case("p", "s", files["flair"], truth=files["truth"]), tmp_path, ["training-free"])
    assert max(rows, key=lambda row: row["ml"])["found"] == {"training-free": True}
    assert sum(row["ml"] for row in rows) == pytest.approx(truth.volume_ml)
    assert {row["place"] for row in rows} <= {"deep", "juxtacortical", "cortical"}
