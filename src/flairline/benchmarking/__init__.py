"""Cases, sources of scores and protocols come in (`plan.Plan`); rows, the paper's tables and figures go out.

A case's trip: `source` makes its score, `store` keeps it, `judge` counts and measures it, `rows` makes lines of it.
It must not import report or cli: what a page or a terminal shows is made from `run.Finished`.
"""
