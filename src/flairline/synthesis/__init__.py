"""Images of nobody: brains, lesions and scanners that are drawn by chance, and rendered.

In come seeds, label maps and the average brain of nilearn's wheel; out go phantoms and training scans. What is drawn is
plain data without torch (`plan.ScanPlan`); `render_numpy` and `render_torch` render it alike. It imports nothing of
`cases`, `datasets`, `learning` or what stands above them.
"""
