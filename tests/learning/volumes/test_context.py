"""What a network is told of a place: alike in every orientation, mirrored for a mirrored scan, nothing at step 0."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from flairline.learning.volumes.sizes import SIZES, Inlets
from flairline.preprocess.atlas import load_atlas
from flairline.synthesis.phantom import Lesion, phantom
from flairline.synthesis.training import Z_RANGE
from flairline.types import Mask, Scan, Space, Volume

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
from flairline.learning.networks.folded import widened_weights
from flairline.learning.volumes import unet_scorer
from flairline.learning.volumes.context import CELL, CONTEXT, MIDDLE_MM, REACH_MM, SCALE, context, shaken
from flairline.learning.volumes.unet import Seen, build, fed, lesion_logits

BOTH = Inlets(True, True)
FEATURES = (4, 4, 8, 4, 4)
CPU = torch.device("cpu")


def place(side: float, front: float, up: float) -> np.ndarray:
    """4x4 from voxels to atlas mm: 1 mm, turned a little about z, with the first voxel at this place."""
    angle = np.radians(9)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = side, front, up
    return matrix


def told(image: np.ndarray, vox_to_atlas: np.ndarray, first=(0, 0, 0)) -> dict[str, np.ndarray]:
    cells = [side // CELL for side in image.shape]
    found = context(torch.from_numpy(image), vox_to_atlas, first, cells)
    return dict(zip(CONTEXT, found.numpy(), strict=True))


def test_coordinates_and_usual_tissue_are_those_of_the_atlas():
    image = np.full((32, 34, 36), Z_RANGE[0], np.float32)
    there = place(-20.0, -40.0, 0.0)
    found = told(image, there, first=(-3, 5, 1))
    i, j, k = 4, 7, 9
    x, y, z = (there @ [-3 + 2 * i + 0.5, 5 + 2 * j + 0.5, 1 + 2 * k + 0.5, 1])[:3]
    assert found["off the midline"][i, j, k] == pytest.approx(abs(x) / REACH_MM[0] - 0.5, abs=1e-5)
    assert found["forward"][i, j, k] == pytest.approx((y - MIDDLE_MM[1]) / REACH_MM[1], abs=1e-5)
    assert found["upward"][i, j, k] == pytest.approx((z - MIDDLE_MM[2]) / REACH_MM[2], abs=1e-5)


def test_tissue_is_where_the_atlas_has_it():
    """Over the atlas's own grid: most of where white matter is usual is white there, and so for its brain's border."""
    atlas = load_atlas("mni")
    image = np.where(atlas.brain.array, 0, Z_RANGE[0]).astype(np.float32)
    found = told(image, atlas.t1.space.vox_to_ras)
    shape = found["white"].shape
    bright = ndimage.uniform_filter(atlas.t1.array.astype(np.float32), 2)[1::2, 1::2, 1::2]
    bright = bright[: shape[0], : shape[1], : shape[2]]
    assert bright[found["white"] > 0.8].mean() > 1.2 * bright[found["cortex"] > 0.8].mean()
    total = sum(found[name] for name in CONTEXT[3:-1])
    inside = ndimage.binary_erosion(atlas.brain.array, iterations=8)[1::2, 1::2, 1::2][
        : shape[0], : shape[1], : shape[2]
    ]
    assert total[inside].mean() > 0.9
    assert total.max() < 1.1


def test_the_mirrored_scan_is_that_of_the_atlass_other_side_and_dark_beyond():
    rng = np.random.default_rng(0)
    image = rng.uniform(-3, 3, (40, 30, 28)).astype(np.float32)
    straight = np.eye(4)
    straight[:3, 3] = -19.5, -30.0, 0.0  # voxel i lies at -19.5 + i: its mirror is voxel 39 - i
    found = told(image, straight)["mirrored"]
    cells = image[::-1].reshape(20, 2, 15, 2, 14, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(found, cells / SCALE, atol=1e-5)
    far = np.eye(4)
    far[:3, 3] = 100.0, 0.0, 0.0
    np.testing.assert_allclose(told(image, far)["mirrored"], Z_RANGE[0] / SCALE)


def test_a_mirrored_scan_is_told_the_mirrored_context():
    image = np.random.default_rng(1).uniform(-3, 3, (40, 32, 28)).astype(np.float32)
    there = place(-21.0, -30.0, -5.0)
    over = np.diag([-1.0, 1, 1, 1])
    over[0, 3] = image.shape[0] - 1
    flipped = told(np.ascontiguousarray(image[::-1]), np.diag([-1.0, 1, 1, 1]) @ there @ over)
    for name, channel in told(image, there).items():
        np.testing.assert_allclose(flipped[name][::-1], channel, atol=1e-4, err_msg=name)


def test_a_shaken_place_is_a_little_off_mostly():
    moved = [(shaken(np.eye(4), np.random.default_rng(seed)) @ [0, 0, 0, 1])[:3] for seed in range(300)]
    off_mm = np.linalg.norm(moved, axis=1)
    assert 2 < np.median(off_mm) < 5
    assert 0 < (off_mm > 8).mean() < 0.1


@pytest.fixture(scope="module")
def seen() -> Seen:
    rng = np.random.default_rng(2)
    image = rng.uniform(-4, 4, (46, 39, 43)).astype(np.float32)
    return Seen(image, rng.uniform(-2, 2, image.shape).astype(np.float32), place(-20, -30, 0))


def test_a_wider_network_begins_with_what_the_smaller_one_computes(seen):
    torch.manual_seed(0)
    before, after = build(FEATURES).eval(), build(FEATURES, inlets=BOTH)
    after.load_state_dict(widened_weights(before.state_dict(), after))
    wanted = lesion_logits(before, seen, CPU)
    found = lesion_logits(after.eval(), seen, CPU, inlets=BOTH)
    assert wanted.std() > 1e-3
    np.testing.assert_allclose(found, wanted, atol=1e-5 * float(np.abs(wanted).max()))


def test_weights_of_as_many_inlets_stay_as_they_are():
    network = build(FEATURES, inlets=BOTH)
    state = network.state_dict()
    assert all((tensor == state[name]).all() for name, tensor in widened_weights(state, network).items())


def test_a_t1_that_is_left_out_is_as_if_there_were_none(seen):
    torch.manual_seed(1)
    network = build(FEATURES, inlets=BOTH).eval()
    nothing = dataclasses.replace(seen, t1=np.zeros_like(seen.image))
    absent = dataclasses.replace(seen, t1=None)
    found = [lesion_logits(network, one, CPU, inlets=BOTH) for one in (seen, nothing, absent)]
    np.testing.assert_array_equal(found[1], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_a_scan_is_fed_at_its_place_in_the_padded_box(seen):
    images, around, where = fed(seen, BOTH, CPU)
    assert images.shape[1] == 2
    assert around.shape[1] == len(CONTEXT)
    np.testing.assert_allclose(images[0, 1][where].numpy() * SCALE, seen.t1, atol=1e-6)
    here = told(seen.image, seen.vox_to_atlas, first=[-part.start for part in where])
    i, j, k = ((part.start + 10) // CELL for part in where)
    for number, name in enumerate(CONTEXT):
        assert around[0, number, i, j, k] == pytest.approx(here[name][i, j, k], abs=1e-6)


def test_every_preset_takes_a_t1_and_a_place():
    assert all(size.t1 and size.placed for size in SIZES.values())
    assert Inlets.of({"features": [4]}) == Inlets(False, False)


class Listening:
    """In place of the network: keeps what it is given."""

    def __init__(self, monkeypatch):
        self.given: list[Seen] = []
        monkeypatch.setattr("flairline.learning.volumes.unet.lesion_logits", self.logits)

    def logits(self, network, seen, device, inlets):
        self.given.append(seen)
        return np.zeros_like(seen.image)


def scored(scan: Scan, monkeypatch) -> Seen:
    """What a network with all inlets is given of a scan."""
    listening = Listening(monkeypatch)
    config = {"size": {"t1": True, "placed": True}, "calibration": {"slope": 1.0, "offset": 0.0}}
    scorer = unet_scorer.UnetScorer("synthetic_unet", None, "cpu", config)
    scorer.__dict__["_network"] = (None, CPU)
    scorer(scan)
    return listening.given[0]


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_left_stays_left_in_every_orientation(orientation, monkeypatch):
    """The registration is given: a voxel of the working image is told the place of the scan's voxel that it shows."""
    scan, _, _ = phantom(11, 2.0, [Lesion("tumour")], orientation)
    to_native = np.eye(4)
    to_native[:3, 3] = 3.0, -2.0, 5.0
    given = scored(dataclasses.replace(scan, atlas_to_native=to_native), monkeypatch)
    assert given.vox_to_atlas is not None
    bright = np.argwhere(given.image > 4).mean(axis=0)
    there_mm = (given.vox_to_atlas @ [*bright, 1])[:3]
    z = unet_scorer.working_image(scan)
    native = np.argwhere(z > 4).mean(axis=0)
    native_mm = (scan.space.vox_to_ras @ [*native, 1])[:3]
    np.testing.assert_allclose(there_mm, native_mm - [3, -2, 5], atol=2.5)
    assert np.sign(there_mm[0]) == np.sign(native_mm[0] - 3)


def test_a_scan_is_laid_onto_the_atlas_or_else_its_box_is(monkeypatch):
    """Either way the middle of the brain, and of a brain too small to be one, lies in the middle of the atlas's."""
    scan, _, _ = phantom(3, 3.0)
    small = np.zeros_like(scan.brain.array)
    x, y, z = (side // 2 for side in small.shape)
    small[x - 5 : x + 6, y - 6 : y + 7, z - 4 : z + 5] = True
    for brain in (scan.brain.array, small):
        given = scored(dataclasses.replace(scan, brain=Mask(brain, scan.space)), monkeypatch)
        middle = np.argwhere(given.image > Z_RANGE[0]).mean(axis=0)
        assert given.vox_to_atlas is not None
        assert np.abs((given.vox_to_atlas @ [*middle, 1])[:3] - [0, -18, 4]).max() < 15


def test_a_header_that_is_moved_or_turned_moves_no_bit_of_the_place(monkeypatch):
    scan, _, _ = phantom(3, 4.0)
    turned = place(31.7, -4.0, 9.0) @ scan.space.vox_to_ras
    elsewhere = Space(scan.space.shape, turned)
    other = Scan.of("x", Volume(scan.flair.array, elsewhere), Mask(scan.brain.array, elsewhere))
    one, again = scored(scan.with_images(t1=None), monkeypatch), scored(other, monkeypatch)
    np.testing.assert_array_equal(one.vox_to_atlas, again.vox_to_atlas)


def test_a_t1_goes_with_the_flair_onto_the_working_grid(monkeypatch):
    space = Space((30, 32, 16), np.diag([1.0, 1.0, 3.0, 1.0]))
    brain = np.zeros(space.shape, np.bool_)
    brain[4:26, 5:28, 3:14] = True
    rng = np.random.default_rng(0)
    flair = Volume(rng.uniform(50, 99, space.shape).astype(np.float32), space)
    t1 = Volume(np.where(np.arange(30)[:, None, None] < 15, 10, 90).astype(np.float32) + 0 * flair.array, space)
    scan = Scan.of("x", flair, Mask(brain, space), t1=t1, atlas_to_native=np.eye(4))
    given = scored(scan, monkeypatch)
    assert given.t1 is not None
    assert given.t1.shape == given.image.shape
    inside = given.image > Z_RANGE[0]
    half = given.t1.shape[0] // 2
    assert given.t1[: half - 2][inside[: half - 2]].mean() < given.t1[half + 2 :][inside[half + 2 :]].mean()
    assert scored(scan.with_images(t1=None), monkeypatch).t1 is None
