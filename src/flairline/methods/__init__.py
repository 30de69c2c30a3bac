"""Methods that score: one file a method, each with a frozen dataclass `Method` whose `fit` returns a scorer.

Scans come in, scores go out: higher is more abnormal, on the scan's own grid, zero outside the brain. A method only
scores: thresholds, component filters and smoothing are `postprocess`, and what a user runs is a recipe. `base` says
what a method is; every other file here is one. A method must not import recipes, metrics or anything above them.
"""
