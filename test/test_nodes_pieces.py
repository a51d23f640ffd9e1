# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The pieces of the nodes that need no ROS: mailbox, workers, sequence numbers, tally, points, parameters."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sicm_ros.geometry import ModelView, StereoCalibration
from sicm_ros.geometry.points import matched_points
from sicm_ros.nodes.mailbox import Mailbox, Workers
from sicm_ros.nodes.parameters import DECODER, ENCODER, as_markdown, as_yaml
from sicm_ros.nodes.process import make_room
from sicm_ros.nodes.sequence import MODULUS, NUMBERLESS, Gaps, Sequence
from sicm_ros.nodes.tally import Tally

ROOT = Path(__file__).resolve().parents[1]


# -- mailbox and workers ----------------------------------------------------------------------------------------------


def taken(mailbox: Mailbox, most: int = 1) -> list:
    """Fetch, and handle at once."""
    with mailbox.take(most) as items:
        return items


def test_a_newer_item_replaces_what_nobody_fetched():
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.put(1) is None
    assert mailbox.put(2) == 1
    assert taken(mailbox) == [2]
    mailbox.close()
    assert taken(mailbox) == []


def test_each_sender_has_a_slot_and_is_served_in_turn():
    mailbox: Mailbox[str] = Mailbox()
    for name in "abc":
        mailbox.put(f"{name}0", name)
    assert taken(mailbox, 2) == ["a0", "b0"]
    mailbox.put("a1", "a")
    mailbox.put("a2", "a")  # sends more than there is time for
    assert taken(mailbox, 2) == ["c0", "a2"]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.integers(1, 3))
def test_no_sender_starves_however_often_the_others_send(sends, most):
    """Between two services of one sender, every other one that waited all the time is served."""
    mailbox: Mailbox[int] = Mailbox()
    waiting_since: dict[int, int] = {}
    served: list[int] = []
    for turn, sender in enumerate(sends):
        mailbox.put(sender, sender)
        waiting_since.setdefault(sender, len(served))
        if turn % 2:
            for item in taken(mailbox, most):
                del waiting_since[item]
                served.append(item)
        for since in waiting_since.values():
            assert max((served[since:].count(other) for other in range(6)), default=0) <= 2


def test_a_failing_job_is_reported_and_the_next_one_served():
    done, failed, served = [], [], threading.Event()

    def handle(jobs: list[int]) -> None:
        if jobs == [0]:
            raise ValueError("broken")
        done.extend(jobs)
        served.set()

    reported = threading.Event()
    workers = Workers(lambda: (1, 1), handle, lambda error, jobs: (failed.append((str(error), jobs)), reported.set()))
    workers.mailbox.put(0)
    assert reported.wait(5)
    workers.mailbox.put(7)
    assert served.wait(5)
    assert (done, failed) == ([7], [("broken", [0])])
    assert workers.close(5)


def test_a_failed_preparation_is_kept_for_the_node_to_see():
    def prepare() -> tuple[int, int]:
        raise ValueError("no model")

    workers = Workers(prepare, print, print)
    assert workers.ready.wait(5)
    assert str(workers.error) == "no model"
    assert workers.close(5)


def test_closing_tells_whether_a_worker_is_still_busy():
    go, busy = threading.Event(), threading.Event()
    workers = Workers(lambda: (1, 1), lambda jobs: (busy.set(), go.wait(10)), print)
    workers.mailbox.put(1)
    assert busy.wait(5)
    assert not workers.close(0.05)
    go.set()
    assert workers.close(5)


def test_workers_handle_different_senders_side_by_side_and_one_sender_in_order():
    lock, together, order = threading.Lock(), threading.Barrier(2), []
    handled: set[str] = set()

    def handle(jobs: list[tuple[str, int]]) -> None:
        (sender, number), *others = jobs
        assert not others
        with lock:
            assert sender not in handled, "a second item of this sender is being handled"
            handled.add(sender)
        together.wait(10)  # two senders are handled at the same time, or this fails
        with lock:
            order.append((sender, number))
            handled.remove(sender)
        done.release()

    failed: list[Exception] = []
    done = threading.Semaphore(0)
    workers = Workers(lambda: (1, 2), handle, lambda error, jobs: failed.append(error))
    for number in range(5):
        for sender in "ab":
            workers.mailbox.put((sender, number), sender)
        assert done.acquire(timeout=10)
        assert done.acquire(timeout=10)
    assert not failed
    assert [n for sender, n in order if sender == "a"] == [n for sender, n in order if sender == "b"] == [*range(5)]
    assert workers.close(5)


def test_an_item_of_a_sender_that_is_being_handled_waits():
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("a0", "a")
    with mailbox.take() as items:
        assert items == ["a0"]
        mailbox.put("a1", "a")
        mailbox.put("b0", "b")
        assert taken(mailbox, 2) == ["b0"]
    assert taken(mailbox, 2) == ["a1"]


@pytest.mark.parametrize("threads", [1, 3])
def test_closing_ends_every_worker(threads):
    workers = Workers(lambda: (1, threads), print, print)
    assert workers.ready.wait(5)
    assert workers.close(5)
    workers.mailbox.put("too late")
    assert taken(workers.mailbox) == []


# -- sequence numbers -------------------------------------------------------------------------------------------------


def told(*messages, described=()):
    """What a Sequence says of messages (number, stamp, arrival), described anew before those of these indices."""
    sequence = Sequence()
    said = []
    for index, message in enumerate(messages):
        if index in described:
            sequence.described()
        said.append(sequence.check(*message))
    return said


def test_gaps_are_losses_and_the_counter_wraps():
    assert told((MODULUS - 2, 1.0, 1.0), (MODULUS - 1, 1.1, 1.1), (2, 1.4, 1.4)) == [(0, ""), (0, ""), (2, "")]


def test_repeated_and_late_messages_are_not_decoded():
    numbers = (10, 10, 12, 11, 13)
    assert told(*((n, n / 10, 5 + i / 10) for i, n in enumerate(numbers))) == [
        (0, ""),
        (0, "repeated"),
        (1, ""),
        (0, "late"),
        (0, ""),
    ]


def test_an_encoder_that_started_anew_is_followed():
    assert told((500, 50.0, 50.0), (0, 51.0, 51.0), (2, 51.2, 51.2)) == [(0, ""), (0, ""), (1, "")]


@settings(deadline=None)  # the first example may be slow
@example(first=3, back=0.0, pause=1.0, described=False, lost=set())  # three pairs, played again
@example(first=1, back=0.0, pause=2.0, described=False, lost=set())  # one pair, played again after a while
@given(
    first=st.integers(1, 2000),
    back=st.floats(0, 1e9),
    pause=st.floats(0.05, 60),
    described=st.booleans(),
    lost=st.sets(st.integers(0, 9)),
)
def test_no_new_start_is_taken_for_stragglers(first, back, pause, described, lost):
    """Numbers begin anew, stamps are the same or any older ones: the same recording again, or one from another day."""
    one = [(i, 1e9 + i / 10, i / 10) for i in range(first)]
    other = [(i, 1e9 - back + i / 10, first / 10 + pause + i / 10) for i in range(max(first, 12)) if i not in lost]
    said = told(*one, *other, described={first} if described else ())[first:]
    dropped = [cause for _, cause in said if cause]
    # Without a word or a pause the first ones can't be told from stragglers; three in a row can.
    assert dropped == [] or (not described and pause < 2 and len(dropped) <= 2 + 3 * len(lost))
    assert said[-1][1] == ""


def test_one_stray_message_blocks_nothing():
    """A number 1000 ahead, stamped in 2038: from a broken or hostile sender."""
    good = [(i, 100 + i / 10, 100 + i / 10) for i in range(20)]
    said = told(*good[:10], (1009, 2e9, 100.95), *good[10:])
    assert [cause for _, cause in said].count("late") == 2
    assert all(not cause for _, cause in said[13:])


def test_stragglers_of_a_lossy_link_stay_out():
    numbers = [0, 1, 3, 2, 4, 7, 5, 6, 8, 8, 9]
    said = [cause for _, cause in told(*((n, n / 10, i / 10) for i, n in enumerate(numbers)))]
    assert said == ["", "", "", "late", "", "", "late", "late", "", "repeated", ""]


# -- tally ------------------------------------------------------------------------------------------------------------


def test_messages_that_never_came_are_told_by_their_numbers():
    gaps = Gaps()
    assert [gaps.before("/left", number) for number in (17, 18, 21, 22)] == [0, 0, 2, 0]
    assert gaps.before("/right", 5) == 0  # each topic has numbers of its own
    assert [gaps.before("/left", number) for number in (1, 2, 4)] == [0, 0, 1]  # another publisher, after a new start
    assert [gaps.before("/left", number) for number in (None, NUMBERLESS, 5)] == [0, 0, 0]


def test_drops_are_reported_by_cause_and_in_sum():
    tally = Tally("received")
    tally.drop("late", 2)
    tally.drop("size")
    report = tally.report()
    assert (report["received"], report["dropped"], report["dropped_late"], report["dropped_size"]) == (
        "0",
        "3",
        "2",
        "1",
    )


def test_rates_are_those_of_the_last_seconds():
    tally = Tally()
    for index in range(100):
        tally.message(250, stamp=100 + 0.1 * index, now=0.1 * index + 0.05, delay=0.05 - 100)
    by_node, by_stamp, kbit, delay = tally.rates(now=9.95)
    assert by_node == pytest.approx(10)
    assert by_stamp == pytest.approx(10)
    assert kbit == pytest.approx(250 * 8e-3 * 10)
    assert delay == pytest.approx(0.05 - 100)
    assert tally.rates(now=60)[:3] == (0, 0, 0)
    assert math.isnan(tally.rates(now=60)[3])


def test_stages_report_median_and_95th_percentile():
    tally = Tally()
    for ms in range(1, 101):
        tally.took("encode", ms * 1e-3)
    report = tally.report()
    assert float(report["encode_ms"]) == pytest.approx(50.5)
    assert float(report["encode_ms_p95"]) == pytest.approx(96)


# -- health -----------------------------------------------------------------------------------------------------------


class FakeNode:
    """As much of a node as a Health asks for."""

    def __init__(self, *published: str) -> None:
        self.said: list[str] = []
        self._published = published
        self.offered: object = None

    def get_logger(self) -> FakeNode:
        return self

    def warning(self, text: str) -> None:
        self.said.append(text)

    def count_publishers(self, topic: str) -> int:
        return topic in self._published

    def get_publishers_info_by_topic(self, topic: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(qos_profile=self.offered)] * (topic in self._published)

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        return [(topic, ["sicm_ros/msg/Features"]) for topic in self._published]


def health_of(node: FakeNode, at: list[float], now: list[float] | None = None):
    pytest.importorskip("rclpy")
    from sicm_ros.nodes.health import Health

    health = Health(node, "decoder", ("received",), lambda: at[0], lambda: (now or at)[0])
    from sicm_ros.nodes.qos import sensor

    node.offered = sensor(reliable=True)
    health.listen({"/features": SimpleNamespace(msg_type=type("Features", (), {}), qos_profile=sensor(reliable=True))})
    return health


def level_and_text(health) -> tuple[int, str]:
    status = health.status(0.0)
    return int.from_bytes(status.level, "little"), status.message


def test_a_sender_that_is_there_may_take_its_time_for_the_first_message():
    node, at = FakeNode("/features"), [100.0]
    health = health_of(node, at)
    for seconds in (6, 12, 29):
        at[0] = 100.0 + seconds
        health.listen_for_silence(5.0)
        assert level_and_text(health) == (1, "nothing on /features yet")
    assert not node.said, "a healthy start was complained of"
    at[0] = 131.0
    health.listen_for_silence(5.0)
    health.listen_for_silence(5.0)
    assert len(node.said) == 1
    assert "nothing on /features for 31 s" in node.said[0]
    health.heard("/features")
    health.listen_for_silence(5.0)
    assert level_and_text(health) == (0, "running")
    at[0] = 137.0  # what came and stops is an error
    health.listen_for_silence(5.0)
    assert level_and_text(health) == (2, "nothing more on /features")
    assert node.said[1:] == ["nothing more on /features"]


def test_without_a_sender_it_is_said_at_once_what_there_is():
    node, at = FakeNode("/van/features"), [100.0]
    health = health_of(node, at)
    at[0] = 106.0
    health.listen_for_silence(5.0)
    assert "nothing on /features for 6 s" in node.said[0]
    assert "/van/features (sicm_ros/msg/Features)" in node.said[0]


def test_a_sender_that_is_less_reliable_than_asked_for_is_named_with_the_remedy():
    node, at = FakeNode("/features"), [100.0]
    health = health_of(node, at)
    from sicm_ros.nodes.qos import sensor

    node.offered = sensor(reliable=False)
    for seconds in (6, 7, 40):
        at[0] = 100.0 + seconds
        health.listen_for_silence(5.0)
        level, text = level_and_text(health)
        assert level == 2
        assert "/features: sent best effort, but reliable is asked for" in text
    (said,) = node.said
    assert "set reliable_images to false" in said


def test_a_delay_needs_a_clock():
    at, now = [100.0], [math.nan]
    health = health_of(FakeNode("/features"), at, now)
    for index in range(5):
        at[0] = 100.0 + 0.1 * index
        assert math.isnan(health.message(100, 1.8e9 + index))
    values = {v.key: v.value for v in health.status(0.0).values}
    assert values["current_delay_from_realtime_ms"] == "nan"
    assert float(values["frame_rate_node"]) == pytest.approx(10)
    assert "no clock" in level_and_text(health)[1]
    now[0] = 1.8e9 + 5.5
    assert health.message(100, 1.8e9 + 5) == pytest.approx(0.5)
    values = {v.key: v.value for v in health.status(0.0).values}
    assert float(values["current_delay_from_realtime_ms"]) == pytest.approx(500)


def test_a_problem_is_an_error_though_the_node_is_not_active():
    health = health_of(FakeNode(), [0.0])
    health.rest()
    assert level_and_text(health) == (0, "not active")
    health.problem = "the model can't be loaded: no model 'x'"
    assert level_and_text(health) == (2, "the model can't be loaded: no model 'x'")


# -- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1242, 375), (1280, 720), (640, 480)])
def test_points_lie_where_the_picture_shows_them(size: tuple[int, int]):
    rig = StereoCalibration(700.0, 690.0, size[0] / 2 - 7, size[1] / 2 + 3, 0.54, *size, disparity_offset=0.5)
    view = ModelView.fit(rig, 864, 192)
    depth = 17.0
    disparity = np.full((48, 216), rig.disparity(depth), np.float32)
    points = matched_points(disparity, view, max_depth=80)
    np.testing.assert_allclose(points[:, 2], depth, rtol=1e-5)
    u = rig.fx * points[:, 0] / points[:, 2] + rig.cx
    v = rig.fy * points[:, 1] / points[:, 2] + rig.cy
    # The cells cover the full width of the source image, between bars if its angle is narrow, and rows that exist.
    cell = 4 * size[0] / view.resized_width
    slack = cell if view.left else 0.01
    assert u.min() == pytest.approx(cell / 2 - 0.5, abs=slack)
    assert u.max() == pytest.approx(size[0] - cell / 2 - 0.5, abs=slack)
    assert u.min() > -0.5
    assert u.max() < size[0] - 0.5
    assert v.min() > -0.5
    assert v.max() < size[1] - 0.5


def test_what_has_no_depth_is_no_point():
    rig = StereoCalibration(700.0, 700.0, 431.5, 95.5, 0.54, 864, 192)
    view = ModelView.fit(rig, 864, 192)
    disparity = np.array([[np.nan, 0.0, -3.0, rig.disparity(81.0), rig.disparity(79.0), rig.disparity(0.5)]])
    assert matched_points(disparity, view, max_depth=80.0)[:, 2] == pytest.approx([79.0])


# -- parameters -------------------------------------------------------------------------------------------------------


def test_yaml_files_and_page_agree_with_the_table():
    pytest.importorskip("rclpy", reason="the replay node's table lies in its module, which needs rclpy")
    from sicm_ros.nodes.parameters import tables

    page = (ROOT / "docs" / "nodes.md").read_text()
    for node, table in tables().items():
        remedy = "run `python -m sicm_ros.nodes.parameters`"
        text = (ROOT / "config" / f"{node}.yaml").read_text()
        assert text == as_yaml(node, table), remedy
        assert as_markdown(table) in page, remedy
        assert yaml.safe_load(text)["/**"]["ros__parameters"] == {p.name: p.default for p in table}


@pytest.mark.parametrize("table", [ENCODER, DECODER])
def test_every_number_has_a_range_that_holds_its_default(table):
    for p in table:
        assert p.text
        if isinstance(p.default, (int, float)) and not isinstance(p.default, bool):
            assert p.minimum <= p.default <= p.maximum, p.name


# -- transport --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opinion", ["FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"])
def test_whoever_set_up_fast_dds_keeps_it(opinion):
    environment = {opinion: "mine"}
    make_room(environment)
    assert environment == {opinion: "mine"}


@pytest.mark.parametrize(
    ("pictures", "least", "most"), [(True, 2 * 2 * 1242 * 375 * 3, 20e6), (False, 4 * 520 * 400 * 3, 6e6)]
)
def test_shared_memory_holds_what_a_node_sends(ros_installed, pictures, least, most):
    """Fast DDS has taken our profile: what it maps holds two pairs of raw KITTI images, or four views from above."""
    rmw = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if rmw != "rmw_fastrtps_cpp":
        pytest.skip(f"{rmw} has no use for Fast DDS' profile")
    code = (
        "import os, rclpy\n"
        "from sicm_ros.nodes.process import make_room\n"
        f"make_room(os.environ, {pictures})\n"
        "rclpy.init(); node = rclpy.create_node('roomy')\n"
        "maps = [line.split() for line in open('/proc/self/maps') if '/dev/shm/fastrtps_' in line]\n"
        "print(max(int(b, 16) - int(a, 16) for a, b in (m[0].split('-') for m in maps)))\n"
    )
    free = {k: v for k, v in os.environ.items() if not k.startswith(("FASTRTPS_", "FASTDDS_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=free, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert least < int(done.stdout) < most
