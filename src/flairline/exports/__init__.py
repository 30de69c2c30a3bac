"""What other programs take: label images with their tables, a T1 without lesions, names of fMRIPrep, DICOM.

Comes in: what was found in one scan. Goes out: files beside its mask. It imports whatever lies below `cohort` and is
imported by the notebook and the command line alone.
"""
