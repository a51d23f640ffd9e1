"""Nodes as processes: started, watched and ended from Python. `run` plays a drive through all of them."""
