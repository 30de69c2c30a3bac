"""Data sets, and nothing else: one file a data set, each with a class `Dataset`, its name the file's name.

Comes in: the folder that a data set was unpacked to. Goes out: its cases, its licence, its labels and where it can be
had. A data set imports `cases` and what lies below, never another data set, a method or a metric.
"""
