"""From the files of a case to a `Scan`: the brain, one grid for all images, the way to an atlas and back.

Comes in: a case and settings. Goes out: a scan with its images on one grid, and what was done to it as plain values.
It imports no method, no metric and no data set: nothing here may depend on who scores the scan or how it is judged.
"""
