"""Nodes for measuring the others: `recorder` and `monitor` listen, `load` sends what a fleet would send."""
