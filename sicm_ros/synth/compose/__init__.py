# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Real stereo pairs with cars put in, consistent in both views: more labelled streets from few."""
