"""The viewer's verdict on a scan: pass, fail or artefact, and a note."""

from __future__ import annotations

from flairline.report.pages import Page, ScanPage, Section
from flairline.report.templates import render_text

TEMPLATE = """
<div class="verdict-bar" data-scan="{{ scan_id }}" data-subject="{{ key }}">
  <span class="verdict-label" id="verdict-title">Your verdict</span>
  <div class="choices" role="group" aria-labelledby="verdict-title">
  {% for value, words in verdicts %}<button type="button" data-verdict="{{ value }}" aria-pressed="false"
    title="Shift+{{ words[0] }}">{{ words }}</button>{% endfor %}</div>
  <label for="verdict-note">Note</label>
  <input id="verdict-note" data-note-field maxlength="500" autocomplete="off">
  <button type="button" data-save>Save as JSON</button>
  <span class="muted" data-status role="status"></span>
</div>
"""
VERDICTS = [("pass", "Pass"), ("fail", "Fail"), ("artefact", "Artefact")]


def render(page: Page) -> Section | None:
    """Three buttons and a note; page.js keeps what is said."""
    if not isinstance(page, ScanPage):
        return None
    return Section(5, "verdict", "", render_text(TEMPLATE, scan_id=page.scan_id, key=page.key, verdicts=VERDICTS))
