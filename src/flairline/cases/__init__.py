"""Where cases come from: a table, a folder as its owners lay it out, a scanner's DICOM, a download.

Comes in: paths that a user gives, and what a data set says of its files. Goes out: `Case` values, checked, each with
its key, and sentences about what is missing. It imports no data set by name and reads no voxels but to see that they
are there: the registry finds the data sets, preprocess reads the images.
"""
