"""The ROS side: thin nodes around `sicm_ros.load(...)`. The only folder that imports ROS."""
