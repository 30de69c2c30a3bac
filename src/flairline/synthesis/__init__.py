"""Images of nobody: brains, lesions and scanners that are drawn by chance, and rendered.

Comes in: seeds, label maps, the average brain of nilearn's wheel. Goes out: phantoms and training scans; what is drawn
is plain data without torch (`plan.ScanPlan`), which `render_numpy` and `render_torch` render alike. It imports nothing
of cases, data sets or learning, and no method.
"""
