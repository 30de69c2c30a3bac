"""What Meissen et al. 2021 printed, measured anew: their tables and figures, with their value beside every one of ours.

Comes in: rows and counts of a finished benchmark, and the published values as a table. Goes out: tables (csv, md,
tex) and figures (svg, png). It imports no method and no page: which row a method is in print, the method says itself.
"""
