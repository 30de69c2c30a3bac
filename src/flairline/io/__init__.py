"""Files on disk, without any medicine: NIfTI, DICOM, tables, fetched files, and one store for intermediate results.

Comes in: paths and bytes. Goes out: volumes in RAS+ (`io.nifti` is the only place that reorients) and files that are
written whole or not at all. It imports types and errors alone, so that whatever reads or writes can stand on it.
"""
