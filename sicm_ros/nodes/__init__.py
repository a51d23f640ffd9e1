"""The ROS side: thin nodes around `sicm_ros.load(...)`. The only folder that imports ROS.

`encoder`, `decoder`, `link`, `replay` are nodes, `managed`, `mailbox`, `health`, `parameters` what they share; `tools`
are those of tests, benchmarks and the demo.
"""
