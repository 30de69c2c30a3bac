"""Reading and writing files. `io.nifti` is the only place that reorients."""
