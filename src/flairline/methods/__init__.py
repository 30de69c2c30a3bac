"""Methods: each file one way to score how abnormal a voxel is. `fit` returns the scorer."""
