"""A rendered stereo world in KITTI's format, with exact labels."""
