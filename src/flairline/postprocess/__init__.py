"""From a score to a mask: steps that change a score, thresholds, component rules, what is how likely a lesion.

Comes in: a scan and its score, on one grid. Goes out: a score, a `Threshold` that knows where it came from, and a
mask. It imports no method and holds no method's name: what a model says of its calibration is handed in.
"""
