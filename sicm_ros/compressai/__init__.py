# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""CompressAI and MVSFC-Net: ours as one of its models, its image codecs as anchors of our benchmark.

`model` registers MVSFC-Net ("mvsfc-net") and its loss with CompressAI; `image_codecs` codes with a model of its zoo,
`image_training` trains one. The prior that is built of its entropy models is `sicm_ros.entropy.hyperprior`.
Nothing else needs CompressAI: pip install 'sicm_ros[compressai]'.
"""
