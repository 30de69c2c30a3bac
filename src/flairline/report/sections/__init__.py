"""One file a section of a page: `render(page)` gives its part as HTML, or None where it has nothing to say.

Comes in: the page, with its scan or its cohort. Goes out: HTML, escaped, with the place on the page that it asks for.
A section imports no other section and neither reads nor writes a file.
"""
