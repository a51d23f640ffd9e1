"""A codec of stereo images instead of features, to compare with in benchmarks: its network, its codec, its training."""
