"""Errors that a user can mend: a tree, drawn where it is defined, and messages of one line."""

import re

import pytest

from flairline import errors
from flairline.errors import FlairlineError, MissingExtraError, UnknownNameError

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
}


def test_the_tree_that_is_drawn_is_the_tree_that_is():
    drawn = {}
    above = {}
    for indent, name in re.findall(r"(?m)^([ │├└─]*)(\w+Error)\b", errors.__doc__):
        depth = len(indent)
        above = {place: kind for place, kind in above.items() if place < depth}
        drawn[name] = above[max(above)] if above else None
        above[depth] = name
    assert drawn == {name: None if kind is FlairlineError else kind.__base__.__name__ for name, kind in CLASSES.items()}


def test_an_unknown_name_is_answered_with_the_closest_and_with_all():
    message = str(UnknownNameError("method", "histq", ["vae", "histeq"]))
    assert message == "No method is called 'histq'. Did you mean 'histeq'? Known: histeq, vae."
    assert "Did you mean" not in str(UnknownNameError("method", "zzz", ["histeq"]))


def test_a_missing_extra_says_what_to_run():
    error = MissingExtraError("The method vae", "deep")
    assert error.extra == "deep" and "pip install 'flairline[deep]'" in str(error)


@pytest.mark.parametrize("error", [UnknownNameError("x", "y", ["z"]), MissingExtraError("x", "deep")])
def test_a_message_is_one_line(error):
    assert "\n" not in str(error) and isinstance(error, FlairlineError)
