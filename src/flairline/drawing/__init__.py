"""Pictures that pages, the paper's figures and notebooks share: one palette, slices with contours, curves.

Comes in: images on one grid, masks, rows of numbers. Goes out: JPEG, PNG, WebP and SVG, or matplotlib's axes. It
imports neither matplotlib before something is drawn, nor pyplot at all, nor anything that knows a method or a page.
"""
