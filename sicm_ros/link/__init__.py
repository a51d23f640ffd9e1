"""The link between vehicle and server: how many bytes to send, and what may become of them on the way. Without ROS."""
