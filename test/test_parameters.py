# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes: what is accepted, and what a node says of the rest before it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sicm_ros.errors import InputError
from sicm_ros.nodes.parameters import DECODER, ENCODER, LINK, Parameter, tables

ROOT = Path(__file__).resolve().parents[1]


def parameter(table: tuple[Parameter, ...], name: str) -> Parameter:
    return next(p for p in table if p.name == name)


@pytest.mark.parametrize(
    ("table", "name", "word", "value"),
    [
        (ENCODER, "quality", "1", 1.0),
        (ENCODER, "quality", "2e-1", 0.2),
        (ENCODER, "adaptive", "True", True),
        (ENCODER, "model", "123", "123"),
        (ENCODER, "model", 'it\'s $(here) "now"', 'it\'s $(here) "now"'),
        (DECODER, "vehicles", "van_1", ["van_1"]),
        (DECODER, "vehicles", "van_1, fleet/van_2", ["van_1", "fleet/van_2"]),
        (DECODER, "vehicles", "['van_1', \"van_2\"]", ["van_1", "van_2"]),
        (LINK, "seed", "7", 7),
    ],
)
def test_words_become_values(table, name, word, value):
    assert parameter(table, name).parse(word) == value


@pytest.mark.parametrize(
    ("table", "name", "word"),
    [
        (ENCODER, "quality", "1.7"),
        (ENCODER, "quality", "high"),
        (ENCODER, "quality", "nan"),
        (ENCODER, "adaptive", "1"),
        (ENCODER, "mode", "pictures"),
        (LINK, "seed", "1.5"),
        (LINK, "delay_ms", "inf"),
    ],
)
def test_other_words_are_refused_with_what_was_expected(table, name, word):
    with pytest.raises(InputError, match=rf"^{name} is {word}; expected .*(from|true|features)"):
        parameter(table, name).parse(word)


def test_numbers_are_no_texts_and_the_remedy_is_said():
    with pytest.raises(InputError, match=r"""model is 7; expected a string; .* its own quotes: "'7'\""""):
        parameter(ENCODER, "model").accept(7)


def test_every_default_is_accepted():
    for table in tables().values():
        for p in table:
            assert p.accept(p.default) == p.default


def test_a_choice_that_yaml_reads_as_false_is_taken_as_the_word():
    (references,) = (p for p in tables()["encoder"] if p.name == "references")
    assert references.accept(False) == references.parse("off") == "off"
    with pytest.raises(InputError, match="references is True; expected auto or off"):
        references.accept(True)
    for table in tables().values():
        for p in table:
            if "off" not in p.choices and not isinstance(p.default, bool):
                with pytest.raises(InputError, match="is False"):
                    p.accept(False)


@pytest.mark.timeout(240)
def test_a_node_that_cannot_start_says_why_in_one_line(ros_installed, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1\n  b")
    cases = {
        ("--ros-args", "-p", "loss:=high"): "loss is high; expected a number from -1 to 1",
        ("--ros-args", "-p", "loss:=2"): "loss is 2.0; expected a number from -1 to 1",
        ("--ros-args", "-p", "profile:=moon"): "profile is moon; expected perfect, wifi, ",
        ("--ros-args", "-p", "seed:=true"): "seed is True; expected a whole number",
        ("--ros-args", "-p", "qos_overrides./features.subscription.reliability:=maybe"): "`maybe`",
        ("--ros-args", "-p", "qos_overrides./features.subscription.depth:=deep"): "expecting type 'INTEGER'",
        ("--ros-args", "-p", "nonsense"): "Couldn't parse parameter override rule: '-p nonsense'",
        ("--ros-args", "-r", "__ns:=/1x"): "'-r __ns:=/1x'",
        ("--ros-args", "--params-file", str(broken)): str(broken),
        ("--ros-args", "--params-file", str(tmp_path / "nosuch.yaml")): "nosuch.yaml",
        ("--loss", "0.5"): "unexpected arguments: --loss 0.5; set parameters as in --ros-args -p",
    }
    running = {
        arguments: subprocess.Popen(
            [sys.executable, "-m", "sicm_ros.nodes", "link", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for arguments in cases
    }
    for arguments, process in running.items():
        said = process.communicate(timeout=200)[1]
        own = [line for line in said.splitlines() if "[rcl]" not in line]  # what rcl says before us
        assert process.returncode == 2, said
        assert len(own) == 1, said
        assert own[0].startswith("sicm_ros: "), said
        assert cases[arguments] in own[0], said


def test_whole_numbers_serve_for_numbers_and_misspelt_parameters_are_named(peer, start_node):
    from rcl_interfaces.srv import GetParameters, SetParameters
    from rclpy.parameter import Parameter as Value

    node = start_node("link", loss=0, delay_ms=20, bandwith_kbit_s=500, quality=1)

    def set_to(**values):
        changes = [Value(name, value=value).to_parameter_msg() for name, value in values.items()]
        (result,) = peer.call(SetParameters, "/link/set_parameters", SetParameters.Request(parameters=changes)).results
        return result

    assert set_to(delay_ms=30).successful
    assert not set_to(loss=float("nan")).successful
    assert "profile is moon; expected perfect" in set_to(profile="moon").reason
    names = GetParameters.Request(names=["loss", "delay_ms", "profile"])
    loss, delay, profile = peer.call(GetParameters, "/link/get_parameters", names).values
    assert (loss.double_value, delay.double_value, profile.string_value) == (0.0, 30.0, "lte")
    assert "unknown parameter bandwith_kbit_s (perhaps bandwidth_kbit_s); it has no effect" in node.output
    assert "unknown parameter quality" not in node.output  # the encoder's: one file may serve all nodes


def test_a_callback_that_fails_is_logged_and_the_node_goes_on(ros_installed):
    code = """
import rclpy, sys
from rclpy.node import Node
from sicm_ros.nodes.process import run

class Fails(Node):
    finished = None
    def __init__(self):
        super().__init__("fails")
        self.turns = 0
        self.create_timer(0.01, self.turn)
    def turn(self):
        self.turns += 1
        if self.turns == 3:
            self.finished = 0
        raise KeyError("turn", self.turns)

run(Fails, [])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for turn in (1, 2, 3):
        assert f"a callback failed: KeyError('turn', {turn}), at <string>:16" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_stays_unconfigured_shows_the_reason_in_diagnostics(peer, start_node):
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
    from lifecycle_msgs.srv import ChangeState

    statuses = peer.listen(DiagnosticArray, "/diagnostics")
    start_node("encoder", model="nosuch", autostart=False)
    configure = ChangeState.Request()
    configure.transition.id = 1
    assert not peer.call(ChangeState, "/encoder/change_state", configure).success
    statuses.clear()
    status = peer.wait(lambda: statuses and statuses[-1].status, what="diagnostics")[0]
    assert status.level == DiagnosticStatus.ERROR
    assert "the model can't be loaded: no model 'nosuch'" in status.message
