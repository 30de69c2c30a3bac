"""What every section of a page that is found must keep to, whoever wrote it."""

import inspect
from html.parser import HTMLParser

import numpy as np
import pytest

from flairline import registry
from flairline.report.pages import ScanPage
from flairline.summary import Summary
from flairline.types import Mask, Scan, Space, Threshold, Volume

VOID = {"br", "hr", "img", "input", "meta", "link", "source", "col", "area", "wbr"}


class Tags(HTMLParser):
    """Open tags that were never closed, and addresses that lead out of the page."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href") and value]

    def handle_startendtag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href") and value]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, f"{tag} is closed, but it is not the one that is open"


@pytest.fixture(scope="module")
def page() -> ScanPage:
    shape = (40, 46, 36)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -np.array(shape) * 2
    space = Space(shape, affine)
    away = [(axis / (side - 1) * 2 - 1) / 0.8 for axis, side in zip(np.indices(shape), shape, strict=True)]
    brain = sum(axis**2 for axis in away) <= 1
    flair = np.where(brain, np.random.default_rng(0).normal(100, 10, shape), 0).astype(np.float32)
    mask = np.zeros(shape, bool)
    mask[12:16, 20:24, 16:20] = True
    scan = Scan.of("<b>evil</b> & co", Volume(flair, space), Mask(brain, space))
    summary = {"subject": "<b>evil</b> & co", "note": "<script>alert(1)</script>", "lesions": [], "n_lesions": 1}
    return ScanPage(
        scan,
        Volume(flair * mask, space),
        Mask(mask, space),
        Threshold(0.5, "given", "user"),
        Summary.from_json(summary),
        Mask(mask, space),
    )


@pytest.mark.parametrize("name", registry.names("report.sections"))
def test_a_section_is_sound_html_that_stays_in_the_page(name, page):
    render = registry.load("report.sections", name)
    assert len(inspect.signature(render).parameters) == 1 and render.__doc__
    section = render(page)
    if section is None:
        return  # nothing to say of this page
    html = str(section.html)
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert not [address for address in tags.addresses if address.startswith(("http:", "https:", "//"))]
    assert "<b>evil" not in html and "<script>alert" not in html
