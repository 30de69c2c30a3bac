"""Pages that people look at: one self-contained HTML file a scan, one a cohort, and a small server for verdicts."""
