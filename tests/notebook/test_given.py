"""What cannot be used is refused in one line."""

import numpy as np
import pytest

import flairline as fl
from flairline.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"flair": 7}, "flair as a path, an image of nibabel"),
        ({"flair": (np.zeros((3, 4, 5)), np.eye(3))}, r"\(3, 4, 5\) and \(3, 3\)"),
        ({"flair": "nowhere.nii.gz"}, "nowhere.nii.gz"),
        ({"flair": "x.nii.gz", "method": "histeq=a", "model": "b"}, "names a model already"),
        ({"flair": "x.nii.gz", "threshold": "many"}, "threshold like 0.95"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words) as raised:
        fl.segment(**arguments)
    assert "\n" not in str(raised.value)


def test_a_scan_has_its_own_images(demo):
    with pytest.raises(InputError, match="leave the others out"):
        fl.segment(demo[0], brain="none")
