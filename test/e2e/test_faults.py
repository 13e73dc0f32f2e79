"""Faults of the local control plane, as people and tests switch them on, and its record."""
import json

import pytest

from conftest import wait_for


@pytest.fixture(autouse=True)
def no_faults(agent):
    yield
    agent.fault("clear")


def last(agent):
    entries = agent.record()
    return entries[-1]["number"] if entries else 0


def test_every_kind_is_explained(agent):
    text = agent.ctl("local", "fault", "help").stdout
    kinds = agent.fault("help")["kinds"]
    assert {"refuse", "hang", "delay", "throttle", "error", "unavailable", "silence", "fragment",
            "close", "drop", "send", "text", "binary", "malformed", "expire",
            "endpoint"} == {k["fault"] for k in kinds}
    assert all(k["fault"] in text and k["does"] in text for k in kinds)


@pytest.mark.parametrize("words, complaint", [
    (["quake", "acs"], "no fault is called 'quake'"),
    (["delay", "RegisterInstance"], "not on 'RegisterInstance'"),
    (["silence", "RegisterContainerInstance"], "not on 'RegisterContainerInstance'"),
    (["delay", "acs", "minutes=1"], "no setting 'minutes'"),
    (["delay", "acs", "ms=soon"], "ms of fault delay must be a number"),
    (["error", "acs"], "fault error needs code="),
    (["send", "acs", "type=X", "message=[]"], "message of fault send must be a JSON object"),
    (["binary", "acs", "hex=abc"], "hex of fault binary must be bytes in hex"),
    (["close", "acs", "code=7"], "a close code is 1000 to 4999"),
    (["clear", "999"], "no fault has the id '999'"),
    (["delay", "acs", "ms"], "'ms' is no SETTING=VALUE"),
])
def test_what_is_no_fault_is_refused_by_name(agent, words, complaint):
    r = agent.ctl("local", "fault", *words, check=False)
    assert r.returncode == 1 and complaint in r.stderr, r.stderr
    assert agent.fault("list")["faults"] == []


def test_rows_are_listed_counted_and_cleared(agent):
    first = agent.fault("delay", "CreateCluster", ms="1", count="2")
    second = agent.fault("throttle", "RunTask")
    rows = agent.fault("list")["faults"]
    assert [r["id"] for r in rows] == [first["id"], second["id"]]
    assert rows[0]["left"] == 2 and rows[0]["settings"] == {"ms": 1, "count": 2}
    assert agent.fault("clear", str(first["id"])) == {"cleared": 1}
    r = agent.aws("run-task", "--task-definition", "none", check=False)
    assert "ThrottlingException" in r.stderr
    agent.fault("clear")
    assert agent.fault("list")["faults"] == []


def test_users_are_bent_only_by_name(agent):
    """'*' is what agents send; a user's call goes on."""
    agent.fault("error", "*", code="ServerException", status="500")
    assert agent.aws("list-clusters")["clusterArns"]


def test_delay_hang_and_refuse(agent):
    """A call of a user named by its operation, since it answers at once otherwise."""
    agent.fault("delay", "ListClusters", ms="700", count="1")
    script = ("import boto3, botocore.config, time\n"
              "c = boto3.client('ecs', endpoint_url='http://127.0.0.1:51670',"
              " region_name='us-east-1', aws_access_key_id='%s', aws_secret_access_key='%s',"
              " config=botocore.config.Config(read_timeout=1.5, retries={'max_attempts': 0}))\n"
              "t = time.time()\n"
              "try:\n    c.list_clusters(); out = 'good'\n"
              "except Exception as e:\n    out = type(e).__name__\n"
              "print(out, time.time() - t)\n" % agent.keys())

    def call():
        out, took = agent.host.run("/usr/bin/python3", "-c", script).stdout.split()
        return out, float(took)
    out, took = call()
    assert out == "good" and took >= 0.7
    agent.fault("hang", "ListClusters", count="1")
    out, took = call()
    assert out == "ReadTimeoutError" and took >= 1.5
    assert call()[0] == "good"
    agent.fault("clear")
    agent.fault("refuse", "ListClusters", count="1")
    assert call()[0] == "ConnectionClosedError"
    assert call()[0] == "good"


def test_record_shows_what_was_sent_without_secrets(agent, tasks):
    tasks.register("role", {"name": "one", "command": ["sleep", "60"]},
                   taskRoleArn="arn:aws:iam::000000000000:role/r")
    before = last(agent)
    (arn,) = tasks.run("role")
    tasks.wait("RUNNING", arn)
    sent = agent.record("sent", "acs", before)
    payload = next(e for e in sent if e["type"] == "PayloadMessage")
    acks = [e["body"] for e in agent.record("message", "acs", before)]
    assert {"AckRequest", "IAMRoleCredentialsAckRequest"} == {
        a["type"] for a in acks if a["message"]["messageId"] == payload["messageId"]}
    calls = agent.record("call", "SubmitTaskStateChange", before)
    assert [c["body"]["status"] for c in calls if c["body"]["task"] == arn][-1] == "RUNNING"
    everything = json.dumps(agent.record())
    for secret in (agent.keys()[1], agent.keys("agent")[1], "Signature="):
        assert secret not in everything
    agent.fault("send", "acs", type="HeartbeatMessage",
                message={"messageId": "mine", "healthy": True})
    wait_for("the heartbeat is answered", lambda: any(
        e["body"] == {"type": "HeartbeatAckRequest", "message": {"messageId": "mine"}}
        for e in agent.record("message", "acs", before)), 5)
    lines = agent.ctl("local", "record", before).stdout
    assert "HeartbeatAckRequest" in lines and "SubmitTaskStateChange" in lines
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)
