"""Methods that score: one file a method, each with a frozen dataclass `Method` whose `fit` returns a scorer.

A method only scores: higher is more abnormal, on the scan's own grid, zero outside the brain. Thresholds, component
filters and smoothing are `postprocess`; what a user runs is a recipe.
"""
