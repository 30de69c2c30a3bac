"""Methods that learn from axial slices: cutting them, training on them, scoring by them, putting scores back.

Comes in: healthy scans and what a method file says of its network and objective. Goes out: a model folder, and a
score on the scan's own grid. It imports no method, and torch only inside functions where a method file reads the
module.
"""
