# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Training: packed pairs in, weights out.

`loop.train` is the program, a stage is a configuration (`config`, `configs/`). Pairs: `samples`, `pack`, `augment`,
`targets`. What is learnt: `losses`, `rates`, `picture_step`. What becomes of weights: `averaging`, `widen`,
`transform`.
"""
