"""`flairline serve`: where it serves, and that it opens the browser only when asked to."""

import webbrowser

import pytest

from flairline.report import serve


@pytest.fixture
def opened(monkeypatch):
    """Addresses that were opened; the server answers nothing and ends at once."""
    addresses = []
    monkeypatch.setattr(serve.Server, "run", serve.Server.close)
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


def test_it_says_its_address_and_what_it_serves(tmp_path, flairline, opened):
    ran = flairline("serve", tmp_path, "--port", 0)
    assert ran.code == 0, ran.err
    assert "http://127.0.0.1:" in ran.out and str(tmp_path) in ran.out and "Ctrl+C" in ran.out
    assert opened == []


def test_open_opens_its_address(tmp_path, flairline, opened):
    ran = flairline("serve", tmp_path, "--port", 0, "--open")
    assert ran.code == 0 and len(opened) == 1 and opened[0] in ran.out


def test_a_folder_that_is_not_there_is_named(tmp_path, flairline):
    ran = flairline("serve", tmp_path / "none")
    assert ran.code == 2 and "there is none at" in ran.line
