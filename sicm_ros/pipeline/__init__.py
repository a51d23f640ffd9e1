"""Nodes as processes: started, watched and ended from Python.

`processes` starts and ends them, `run` plays a drive through all of them and records what they say.
"""
