"""Methods judged on cases with a truth: many scans and recipes in, rows and the paper's tables out.

Comes in: a plan of cases, sources of scores (a recipe, another program's files) and protocols. Goes out: tidy rows,
counts of a cohort, a manifest of what the numbers depend on, and in `paper` the tables and figures. Nothing here
imports from report or cli: what is written for people to look at is drawn from what this folder leaves behind.

A case's trip: `source` scores it, `store` keeps the score, `judge` counts and measures it, `rows` makes lines of it.
"""
