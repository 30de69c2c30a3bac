"""Who is healthy and how old by participants.tsv."""

import math

import pytest

from flairline.cases.participants import Age, participants, root_of
from flairline.errors import InputError


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("25", 25, 25),
        ("25.5", 25.5, 25.5),
        ("20-25", 20, 25),
        (" 20 - 25 ", 20, 25),
        ("n/a", None, None),
        ("", None, None),
    ],
)
def test_an_age_is_a_number_a_span_or_unknown(text, low, high):
    age = Age.of(text)
    if low is None:
        assert math.isnan(age.low) and math.isnan(age.high) and age.words == ""
    else:
        assert (age.low, age.high) == (low, high) and Age.of(age.words) == age


def test_who_may_be_as_old_as_the_limit_is_not_below_it():
    assert Age.of("44.9").below(45) and not Age.of("45").below(45)
    assert Age.of("40-45").below(45) and not Age.of("40-46").below(45)  # spans end where the next one begins
    assert not Age.of("n/a").below(45)


def test_a_table_of_participants(tmp_path):
    assert participants(tmp_path / "nowhere") == {}
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tnote\nsub-1\t25\t\nsub-2\t30\n")
    table = participants(tmp_path)
    assert table["sub-1"] == {"participant_id": "sub-1", "age": "25", "note": ""} and table["sub-2"]["note"] == ""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "participants.tsv").write_bytes(b"participant_id\xff\n")
    with pytest.raises(InputError, match="Download it again"):
        participants(tmp_path / "broken")


def test_the_root_is_above_the_subject(tmp_path):
    assert root_of(tmp_path / "sub-1" / "ses-1" / "anat" / "sub-1_ses-1_FLAIR.nii.gz") == tmp_path
