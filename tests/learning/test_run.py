"""A training that goes on is the same one."""

import pytest

from flairline.errors import InputError, ModelError
from flairline.learning.run import TrainingRun


def test_a_training_goes_on_with_what_it_was_begun_with_and_nothing_else(tmp_path):
    run = TrainingRun(tmp_path)
    run.work.mkdir()
    run.note_setup({"seed": 1, "scans": ("a", "b")}, done=0)
    run.note_setup({"seed": 1, "scans": ("a", "b")}, done=5)
    with pytest.raises(ModelError, match=r"is another one \(seed, scans changed\), so it cannot go on\. Give") as error:
        run.note_setup({"seed": 2, "scans": ("a",)}, done=5)
    assert "\n" not in str(error.value)
    run.note_setup({"seed": 2, "scans": ("a",)}, done=0)  # begun again
    run.note_setup({"seed": 2, "scans": ("a",)}, done=1)


def test_a_preset_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(InputError, match=r"No preset is called 'huge'\. Known: small, test\."):
        TrainingRun(tmp_path, "huge").check_preset(["small", "test"])
