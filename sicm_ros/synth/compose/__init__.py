"""Real stereo pairs with cars put in, consistent in both views: more labelled streets from few."""
