"""Pages that people look at: one self-contained HTML file a scan, one a cohort, and a small server for verdicts.

Comes in: what segmentation and benchmarking leave in memory or in a folder. Goes out: HTML that needs no network,
thumbnails and verdicts saved beside it. It imports no method and no command: a page says what the summary says.
"""
