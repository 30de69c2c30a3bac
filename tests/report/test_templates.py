"""Texts of the pages: everything escaped, numbers as people read them."""

import base64
import gzip

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from flairline.report.templates import data_uri, number, packed_text, render_text, static


def test_values_are_escaped_unless_they_are_markup():
    text = render_text("{{ a }}|{{ b }}", a="<i>&", b=Markup("<i>"))
    assert text == "&lt;i&gt;&amp;|<i>"


def test_a_value_that_is_missing_is_an_error_and_not_an_empty_text():
    with pytest.raises(UndefinedError):
        render_text("{{ nothing }}")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "–"), (float("nan"), 3, "–"), (float("inf"), 3, "–"), (True, 3, "yes"), (False, 3, "no"),
        (0.0, 3, "0"), (0.0123456, 3, "0.0123"), (1234.6, 3, "1235"), (12.3456, 4, "12.35"), (-0.5, 2, "-0.50"),
        (1234567, 3, "1\u202f234\u202f567"), (np.float32(0.25), 3, "0.250"), ("0.5", 3, "0.500"), ("many", 3, "many"),
    ],
)  # fmt: skip
def test_numbers(value, digits, text):
    assert number(value, digits) == text


def test_bytes_lie_inside_the_page():
    assert data_uri(b"abc", "image/webp") == "data:image/webp;base64," + base64.b64encode(b"abc").decode()
    assert gzip.decompress(base64.b64decode(packed_text("text"))) == b"text"
    assert "<html" in static("page.html")
