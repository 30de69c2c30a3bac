"""The tree of errors: whoever catches FlairlineError catches all, and each is told in one line."""

from __future__ import annotations

import inspect

from flairline import errors
from flairline.errors import FlairlineError, MissingExtraError, UnknownNameError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


def test_all_are_one_tree_and_each_says_what_it_is():
    assert FlairlineError in ALL and len(ALL) > 5
    for kind in ALL:
        assert issubclass(kind, FlairlineError), kind
        assert kind.__doc__


def test_an_unknown_name_is_told_with_the_closest_and_the_known():
    text = str(UnknownNameError("protocol", "soud", ["sound", "native"]))
    assert "protocol" in text and "soud" in text and "sound" in text and "\n" not in text


def test_a_missing_extra_is_told_with_the_way_to_install_it():
    text = str(MissingExtraError("something", "deep"))
    assert "something" in text and "flairline[deep]" in text and "\n" not in text
