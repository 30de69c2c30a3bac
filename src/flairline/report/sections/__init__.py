"""One file a section: `render(page)` gives its part of the page, or None where it has nothing to say."""
