# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What stays in float32 where OpenVINO computes in bfloat16: the same as under PyTorch's autocast.

Layers (convolutions and products of matrices) take bfloat16, but for those that the network computes exactly
(network.layers.exact), whose names in the graphs say so. Whatever else keeps the type of what it gets, and a graph gets
float32. So a disparity keeps its hundredths until the next layer takes it, and a gain, which all depths are in
proportion to, its thousandths.

OpenVINO's plugin for processors leaves alone what has the attribute DisablePrecisionConversion. Two things are in the
way. Python can hand such an attribute on but not make one, so it is read from a graph that has it. And the plugin
replaces some operations by older or plainer ones, which don't inherit it: those are replaced before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sicm_ros.engines.graphs import EXACT
from sicm_ros.errors import VerificationError

LAYERS = ("Convolution", "GroupConvolution", "MatMul")

_ATTRIBUTE = "DisablePrecisionConversion_0"
_DONOR = b"""<net name="donor" version="11"><layers>
<layer id="0" name="in" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
<rt_info><attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/></rt_info>
<output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="out" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>1</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>"""


def keep_exact(model: Any, core: Any) -> None:
    """Let what is exact in a graph (an openvino.Model) be computed in float32 where bfloat16 is asked for.

    Raises:
        VerificationError: this OpenVINO can't do it, or the graph doesn't say what is exact.
    """
    known = core.read_model(_DONOR, b"").get_parameters()[0].get_rt_info()
    if _ATTRIBUTE not in known:
        raise VerificationError("engine openvino is too old to keep float32 in places; use number_type float32")
    attribute = known[_ATTRIBUTE]
    _replace(model)
    wide: set[str] = set()
    layers = 0
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        if kind in ("Constant", "Result"):
            continue
        if kind in LAYERS:
            exact = EXACT in operation.get_friendly_name()
            layers += exact
        else:
            exact = kind == "Parameter" or any(node.get_name() in wide for node in _inputs(operation))
        if exact:
            wide.add(operation.get_name())
            operation.set_rt_info(attribute, _ATTRIBUTE)
    if not layers:
        raise VerificationError("the model's graphs don't say what is exact in bfloat16; make them with `sicm export`")


def _inputs(operation: Any) -> list[Any]:
    return [operation.input_value(place).get_node() for place in range(operation.get_input_size())]


def _replace(model: Any) -> None:
    """Replace the operations that the plugin would replace, of those that gains and disparities pass."""
    from openvino import opset1

    for operation in model.get_ordered_ops():
        kind, result = operation.get_type_name(), operation.output(0)
        if not result.get_element_type().is_real():
            continue
        if kind in ("Unsqueeze", "Squeeze"):
            new = opset1.reshape(operation.input_value(0), np.array(result.get_shape(), np.int64), False)
        elif kind == "Subtract":
            less = opset1.multiply(operation.input_value(1), np.float32(-1))
            new = opset1.add(operation.input_value(0), less)
        else:
            continue
        new.set_friendly_name(operation.get_friendly_name())
        result.replace(new.output(0))
