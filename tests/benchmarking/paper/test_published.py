"""What the paper printed, and what its names are among ours."""

from __future__ import annotations

from flairline import registry
from flairline.benchmarking.paper import published


def test_published_values_are_all_there():
    known = published.values()
    assert len(known) == 76
    assert known["4-I", "FLAIR histogram equalisation", "MSLUB", "auprc"] == 0.278
    assert known["2", "FLAIR histogram equalisation", "MSLUB", "auprc"] == 0.271
    assert known["1", "-", "BraTS", "anomaly_voxels_mean"] == 18027


def test_published_names_are_rows_of_the_published_tables():
    methods = {method for _, method, _, _ in published.values()}
    for name in registry.names("methods"):
        assert registry.load("methods", name).info.published_as in {"", *methods}


def test_a_data_set_has_the_papers_name_where_the_paper_used_it():
    assert published.dataset_name("mslub") == "MSLUB"
    assert published.dataset_name("mine") == "mine"
    assert published.of_published("mslub", 2) == "2 of 30"
    assert published.of_published("mine", 2) == "2"
