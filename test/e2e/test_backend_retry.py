"""How the agent takes a backend that fails: with its clock 30 times faster."""
import time

import pytest

from conftest import Agent, Tasks, wait_for
from wire import acs_task, last, send, submits

SCALE = 30


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, scale=SCALE).start()
    yield a
    a.end()


@pytest.fixture(autouse=True)
def no_faults(agent):
    yield
    agent.fault("clear")
    agent.wait_connected()


def run(agent, *names, command):
    send(agent, "PayloadMessage", messageId=names[0], seqNum=1,
         tasks=[acs_task(n, command) for n in names])


def known_to_ecs(agent, family, count, command):
    """Tasks of the control plane's own, so that their reports are accepted."""
    tasks = Tasks(agent)
    tasks.register(family, {"name": "one", "command": command, "cpu": 1, "memory": 8})
    return tasks.run(family, count=count)


def accepted(agent, arn, after):
    return [s["body"]["status"] for s in submits(agent, arn, after) if s["body"]["status"] != "PENDING"]


def test_reports_are_repeated_until_accepted_in_order(agent):
    """B16: the first 40 submits fail in every way there is."""
    before = last(agent)
    for kind in ("unavailable", "throttle", "refuse", "unavailable"):
        agent.fault(kind, "SubmitTaskStateChange", count="10")
    arns = known_to_ecs(agent, "stubborn", 3, ["sh", "-c", "sleep 2; exit 4"])
    for arn in arns:
        wait_for("STOPPED is accepted", lambda: "STOPPED" in accepted(agent, arn, before), 90,
                 agent.logs)
        assert accepted(agent, arn, before) == ["RUNNING", "STOPPED"]
        sent = [s["body"]["status"] for s in submits(agent, arn, before, False)]
        assert sent == sorted(sent, key=["PENDING", "RUNNING", "STOPPED"].index)
    failed = [s for s in agent.record("call", "SubmitTaskStateChange", before)
              if s.get("status") != 200]
    assert len(failed) == 40


def test_a_report_refused_for_good_is_dropped_alone(agent):
    """B17."""
    before = last(agent)
    agent.fault("error", "SubmitTaskStateChange", code="InvalidParameterException", count="1")
    (arn,) = known_to_ecs(agent, "unwanted", 1, ["sh", "-c", "sleep 2; exit 0"])
    wait_for("STOPPED is accepted", lambda: "STOPPED" in accepted(agent, arn, before), 60, agent.logs)
    refused = [s["body"]["status"] for s in submits(agent, arn, before, False)
               if s.get("error") == "InvalidParameterException"]
    assert len(refused) == 1
    everything = [s["body"]["status"] for s in submits(agent, arn, before, False)]
    assert len(everything) == len(set(everything)), everything


def test_an_outage_loses_nothing(agent):
    """B18: everything refused while tasks run and stop, the agent's own restart included; each status
    arrives once, in order."""
    before = last(agent)
    arns = known_to_ecs(agent, "outage", 3, ["sh", "-c", "sleep 4; exit 6"])
    for arn in arns:
        wait_for("RUNNING is accepted", lambda: "RUNNING" in accepted(agent, arn, before), 60,
                 agent.logs)
    agent.fault("refuse", "*")
    agent.fault("drop", "acs")
    wait_for("all containers have ended", lambda: not [
        i for i in agent.host.docker("ps", "-q", "--filter", "label=com.amazonaws.ecs."
                                     "task-definition-family=outage").split()], 60, agent.logs)
    agent.ctl("restart", "backend")
    wait_for("the agent has tried", lambda: len(
        [c for c in agent.record("call", after=before) if "status" not in c]) > 20, 30, agent.logs)
    agent.fault("clear")
    for arn in arns:
        wait_for("STOPPED is accepted", lambda: "STOPPED" in accepted(agent, arn, before), 60,
                 agent.logs)
        assert accepted(agent, arn, before) == ["RUNNING", "STOPPED"]
        (stopped,) = [s["body"] for s in submits(agent, arn, before)
                      if s["body"]["status"] == "STOPPED"]
        assert stopped["containers"][0]["exitCode"] == 6
    agent.wait_connected(60)


def test_silence_closes_the_session(agent):
    """B26: after 60 s and a random rest of up to 60 s more."""
    took = []
    for _ in range(3):
        agent.wait_connected()
        before = last(agent)
        agent.fault("silence", "acs")
        send_at = time.time()
        entry = wait_for("the agent closes", lambda: agent.record("end", "acs", before),
                         130 / SCALE + 20, agent.logs)[0]
        agent.fault("clear")
        took.append((entry["at"] - send_at) * SCALE)
    # the last heartbeat may be 30 s old when silence begins; a busy machine adds real seconds
    assert all(29 < t < 120 + 6 * SCALE for t in took), took
    assert max(took) - min(took) > 0.1, took


def test_refused_handshakes_are_repeated_ever_later(agent):
    """B27: 250 ms, half as much again each time, plus up to 20 %."""
    before = last(agent)
    agent.fault("error", "acs", code="ServerException", status="500")
    agent.fault("close", "acs", code="4000")
    tries = wait_for("14 handshakes", lambda: (lambda h: h if len(h) >= 14 else None)(
        agent.record("handshake", "acs", before)), 60, agent.logs)
    assert all(t["status"] == 500 for t in tries)
    waits = [(b["at"] - a["at"]) * SCALE for a, b in zip(tries, tries[1:])]
    wanted = [0.25 * 1.5 ** (n + 1) for n in range(len(waits))]
    for i, (wait, least) in enumerate(zip(waits, wanted)):
        assert least * 0.98 <= wait <= least * 1.2 + 1.5 * SCALE, (i, waits)
    assert agent.record("call", "DiscoverPollEndpoint", before), "a dead host is asked for anew"


@pytest.mark.parametrize("code", ["1000", "1001", "1011"])
def test_an_orderly_end_is_followed_at_once(agent, code):
    """B28."""
    agent.wait_connected()
    time.sleep(1.1 / SCALE)
    before = last(agent)
    agent.fault("close", "acs", code=code)
    agent_back = wait_for("a new session", lambda: agent.record("handshake", "acs", before), 10,
                          agent.logs)[0]
    end = wait_for("the end", lambda: agent.record("end", "acs", before), 5)[0]
    assert agent_back["at"] - end["at"] < 1


def test_an_unregistered_instance_waits_an_hour(agent):
    """B30 in part: InactiveInstanceException is not asked again soon."""
    before = last(agent)
    agent.fault("error", "acs", code="InactiveInstanceException", count="1")
    agent.fault("close", "acs", code="4000")
    wait_for("the refusal", lambda: agent.record("handshake", "acs", before), 10, agent.logs)
    time.sleep(3)
    assert len(agent.record("handshake", "acs", before)) == 1
    assert "InactiveInstanceException" in agent.status()["link"]["acs"]
    agent.ctl("restart", "backend")
