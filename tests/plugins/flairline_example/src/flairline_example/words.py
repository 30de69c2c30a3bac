"""A section of a scan's page."""

from markupsafe import Markup

from flairline.report.pages import Page, ScanPage, Section


def render(page: Page) -> Section | None:
    """A sentence."""
    if not isinstance(page, ScanPage):
        return None
    return Section(95, "example-words", "From outside", Markup("<p>This part comes from another package.</p>"))
