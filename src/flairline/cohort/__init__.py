"""Whole cohorts as BIDS has them: every scan once, resumable, and all of them in one table and on one page.

Comes in: a BIDS folder, or the derivatives that were made of one. Goes out: derivatives, logs, the group's tables and
page. It stands on segmentation and report, and imports nothing of the command line.
"""
