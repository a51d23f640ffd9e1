# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Who does a command's jobs: this process, several, or a Ray cluster.

`share` gives jobs out and collects their results, for benchmarks and for folders of bags.
"""

from sicm_ros.workers.share import Share, limit_threads, sharing

__all__ = ["Share", "limit_threads", "sharing"]
