# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A rendered stereo world in KITTI's format, with exact labels.

From a number to a file: `street.lay_out` plans a street, `traffic.populate` fills it, `street.ground` and
`roadside.furnish` build it, `scene` draws it (`renderer`) for two cameras (`camera`), `labels.annotate`
labels it, `dataset.generate` does so many times. `compose` sets vehicles and people into real pairs instead.
"""
