"""Metrics: one file a metric, each with a function `metric` whose parameters are from a fixed vocabulary.

counts (`evaluation.counts.Counts` of a cohort), score (x, y, z), mask and mask_at_oracle (bool: at the recipe's own
label-free threshold, at the cohort's oracle threshold), truth (bool), brain (bool), spacing_mm (three voxel sides).
A metric that takes `counts` describes a cohort, any other one scan. Undefined is NaN.

Comes in: what of that vocabulary the function's parameters name. Goes out: one number. A metric imports no method
and no file format, and of another metric only its function.
"""
