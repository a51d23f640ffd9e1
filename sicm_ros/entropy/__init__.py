"""From latents to bytes and back: a learnt prior in integers, integer tables, a range coder."""

from sicm_ros.entropy.config import LEFT, RIGHT, PriorConfig
from sicm_ros.entropy.integer import IntegerPrior

__all__ = ["LEFT", "RIGHT", "IntegerPrior", "PriorConfig"]
