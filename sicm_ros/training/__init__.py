"""Training: packed pairs in, weights out. `loop.train` is the program; a stage is a configuration."""
