# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""ROS domains that tests and `sicm demo` have to themselves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from sicm_ros.pipeline.domain import DOMAINS, DomainError, own_domain

HOLD = """
import sys
from sicm_ros.pipeline.domain import own_domain
with own_domain() as domain:
    print(domain["ROS_DOMAIN_ID"], flush=True)
    sys.stdin.read()
"""


def test_the_tests_have_a_domain_that_no_user_chooses():
    domain = int(os.environ["ROS_DOMAIN_ID"])
    assert domain in DOMAINS
    assert domain > 101  # the documentation's advice is 0 to 101
    assert 7400 + 250 * domain > 60999  # the last port that Linux hands out by itself
    assert 7400 + 250 * DOMAINS[-1] + 250 <= 65536
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_a_domain_is_nobody_elses_until_its_holder_has_ended(monkeypatch: pytest.MonkeyPatch):
    hold = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with hold:
        theirs = hold.stdout.readline().strip()
        with own_domain() as domain:
            assert len({domain["ROS_DOMAIN_ID"], theirs, os.environ["ROS_DOMAIN_ID"]}) == 3
        monkeypatch.setattr("sicm_ros.pipeline.domain.DOMAINS", range(int(theirs), int(theirs) + 1))
        with pytest.raises(DomainError, match=f"domains {theirs} to {theirs} are all in use"), own_domain():
            pass
        hold.kill()  # without a chance to clean up
        hold.wait()
        with own_domain() as domain:
            assert domain["ROS_DOMAIN_ID"] == theirs


@pytest.mark.parametrize("offset", [0, 10])
def test_a_domain_where_other_nodes_are_is_passed_over(offset: int, monkeypatch: pytest.MonkeyPatch):
    with own_domain() as domain:
        free = int(domain["ROS_DOMAIN_ID"])
    monkeypatch.setattr("sicm_ros.pipeline.domain.DOMAINS", range(free, free + 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as node:
        node.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as DDS does
        node.bind(("", 7400 + 250 * free + offset))
        with pytest.raises(DomainError), own_domain():
            pass
