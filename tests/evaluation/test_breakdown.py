"""Groups of scans by a further column."""

from __future__ import annotations

import pytest

from flairline.evaluation.breakdown import UNKNOWN, bin_edges, split


def test_words_by_value_and_what_is_not_known_last():
    parted = split("scanner", ["b", "a", "n/a", "b", "", "a"])
    assert dict(parted.groups) == {"a": (1, 5), "b": (0, 3), UNKNOWN: (2, 4)} and not parted.left_out


def test_numbers_in_bins_of_round_width():
    ages = [34, 81, 40, 59.9, 60, 71, 20]
    parted = split("age", [str(age) for age in ages] + ["n/a"])
    assert list(parted.groups) == ["20 to <40", "40 to <60", "60 to <80", "80 to <100", UNKNOWN]
    for label, places in parted.groups.items():
        if label != UNKNOWN:
            low, high = (float(part) for part in label.split(" to <"))
            assert all(low <= ages[place] < high for place in places)
    assert sorted(place for places in parted.groups.values() for place in places) == list(range(8))
    assert parted.bins == "bins of 20 from 20 to 100, each without its upper end"


def test_codes_are_taken_by_value_in_the_order_of_numbers():
    assert list(split("grade", ["10", "2", "10", "2", "9", "9"]).groups) == ["2", "9", "10"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["a", "a"], r"the same of every scan \(a\)"),
        ([], "the same of every scan"),
        (["n/a", ""], r"the same of every scan \(n/a\)"),
        ([f"id{number}" for number in range(40)], r"40 different values in 40 scans \(at most 12"),
        (["x", "y", "z", "x"], r"3 different values in 4 scans \(at most 2"),
    ],
)
def test_a_column_that_says_nothing_of_groups_is_left_out_with_the_reason(values, why):
    import re

    parted = split("column", values)
    assert not parted.groups and re.search(why, parted.left_out)


@pytest.mark.parametrize(("low", "high"), [(20, 81), (0.1, 0.7), (-3, 12), (1e-6, 2e-6), (1000, 90000), (60, 80)])
def test_edges_hold_both_ends_and_are_few(low, high):
    edges = bin_edges(low, high)
    assert edges[0] <= low + 1e-12 and edges[-1] > high and 3 <= len(edges) <= 8
