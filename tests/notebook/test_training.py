"""`fit`: scans in, a model folder out, which `segment` reads."""

import pytest

import flairline as fl
from flairline.errors import InputError


def test_a_model_folder_is_what_fit_returns(tmp_path, demo):
    scan, _ = demo
    pytest.importorskip("torch")
    healthy = []
    for seed in (1, 2):
        path = tmp_path / f"sub-{seed}.nii.gz"
        fl.write_volume(path, fl.demo_scan(seed)[0].flair)
        healthy.append(path)
    folder = fl.fit("vae", healthy, tmp_path / "model", preset="test", max_minutes=0.2, device="cpu")
    found = fl.segment(scan, method="vae", model=folder)
    assert found.summary.recipe == f"vae={folder}"
    with pytest.raises(InputError, match="has seen the patients"):
        truth = tmp_path / "truth.nii.gz"
        fl.write_mask(truth, demo[1])
        fl.benchmark([fl.Case("", "sub-1", flair=healthy[0], truth=truth)], methods=[f"vae={folder}"])
