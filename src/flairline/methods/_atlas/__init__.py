"""Statistics of registered scans, voxel by voxel; shared by methods, not a method."""
