# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What bits buy: accuracy through the whole chain at a range of rates, ours and others'.

Codecs: `codecs` (a row each), `coders` (one interface for all, ours too), `feature_anchor`, `ffmpeg`. Accuracy:
`accuracy` is the chain, `run` does it for all that a `config` lists (`settings`, `store`), `results`, `curves`,
`figures`, `comparison` and `report` show it. Time: `speed`, `stages`, `soak`, `fleet`. A drive as a
stream: `drive`, `stream`, `identity`, `delay`, `rescoring`. Without labels: `bag_report`, `drift`.
"""
