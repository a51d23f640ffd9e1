# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The link between vehicle and server: how many bytes to send, and what may become of them on the way. No ROS.

`rate` chooses a quality for a target rate, `congestion` the target for what arrives; `emulator` is a bad link,
`profiles` names some.
"""
