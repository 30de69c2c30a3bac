"""Methods that score: one file a method, each with a frozen dataclass `Method` whose `fit` returns a scorer.

Comes in: a scan (and for a trained method its model folder). Goes out: a score, higher is more abnormal, on the
scan's own grid, zero outside the brain. `base` says what a method is. A method imports no other method and nothing
that thresholds, filters or smooths: that is `postprocess`, and what a user runs is a recipe.
"""
