"""`segment`: whatever holds an image goes in, and what is found is what the command line finds."""

import json

import nibabel as nib
import numpy as np
import pytest

import flairline as fl


def test_images_go_in_as_paths_as_nibabel_and_as_arrays_of_any_orientation(tmp_path, demo):
    """All four are one head, and what is found in it is the same."""
    scan, _ = demo
    path = tmp_path / "sub-7_FLAIR.nii.gz"
    fl.write_volume(path, scan.flair)
    image = nib.load(path)
    turned = image.as_reoriented(nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt("PSL")
    ))  # fmt: skip
    ways = {
        "path": path,
        "text": str(path),
        "nibabel": image,
        "array": (scan.flair.array, scan.space.vox_to_ras),
        "turned": (np.asarray(turned.dataobj), turned.affine),
        "turned image": turned,
    }
    found = {name: fl.segment(given, method="brightest") for name, given in ways.items()}
    for name, result in found.items():
        np.testing.assert_array_equal(result.mask.array, found["path"].mask.array, err_msg=name)
        np.testing.assert_allclose(result.scan.space.vox_to_ras, scan.space.vox_to_ras, atol=1e-4)
    assert found["path"].summary.subject == "sub-7" and found["array"].summary.subject == "flair"
    saved = nib.load(found["turned"].save(tmp_path / "out") / "mask.nii.gz")
    assert saved.shape == turned.shape and nib.aff2axcodes(saved.affine) == ("P", "S", "L")


def test_t1_brain_and_subject_go_in_as_well(demo):
    scan, _ = demo
    affine = scan.space.vox_to_ras
    found = fl.segment(
        nib.Nifti1Image(scan.flair.array, affine),
        t1=(scan.t1.array, affine),
        brain=(scan.brain.array, affine),
        method="multimodal",
        threshold=1.5,
        subject="a/b",
    )
    np.testing.assert_array_equal(found.scan.brain.array, scan.brain.array)
    assert found.scan.t1 is not None and found.summary.subject == "a_b"
    assert (found.threshold.value, found.threshold.rule) == (1.5, "given")
    assert fl.segment(scan, method="brightest", threshold=np.float32(0.5)).threshold.value == 0.5


def test_the_command_line_finds_the_same(tmp_path, flairline, demo):
    scan, _ = demo
    path = tmp_path / "flair.nii.gz"
    fl.write_volume(path, scan.flair)
    assert flairline("segment", path, "--method", "brightest", "-o", tmp_path / "out", "--no-report").code == 0
    folder = fl.segment(path, method="brightest").save(tmp_path / "mine")
    for name in ("mask.nii.gz", "score.nii.gz", "brain.nii.gz"):
        assert (folder / name).read_bytes() == (tmp_path / "out" / "flair" / name).read_bytes()
    summaries = [json.loads((at / "summary.json").read_text()) for at in (folder, tmp_path / "out" / "flair")]
    for summary in summaries:
        summary.pop("seconds")
    assert list(summaries[0]) == list(summaries[1]) and summaries[0] == summaries[1]


def test_rows_fit_a_table_and_a_notebook_shows_a_picture(demo):
    scan, _ = demo
    found = fl.segment(scan, method="brightest")
    assert [row["id"] for row in found.lesions] == list(range(1, found.summary.n_lesions + 1))
    volumes = [row["volume_ml"] for row in found.lesions]
    assert volumes == sorted(volumes, reverse=True) and sum(volumes) == pytest.approx(found.mask.volume_ml)
    html = fl.segment(scan, method="brightest", subject="<b>x</b>")._repr_html_()
    assert "data:image/webp;base64," in html and "&lt;b&gt;x&lt;/b&gt;" in html and "<b>x</b>" not in html
    assert "http" not in html and len(html) < 60_000
    figure = found.plot(slices=3)
    assert len([axes for axes in figure.axes if axes.images]) >= 3
