"""A stereo world to train and test in: rendered, or real pairs with cars put in."""
