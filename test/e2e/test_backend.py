"""What the agent sends ECS, read from the record of the local control plane, and how it takes what
ACS sends. Rows of the reference are named B1 …"""
import json
import os
import re
import signal
import urllib.parse

import pytest

from conftest import Agent, wait_for
from wire import (ROLE, acs_task, credentials, last, messages, registered, reported, send, submits,
                  task_arn, wait_message)


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, ECS_INSTANCE_ATTRIBUTES='{"stack": "blue"}').start()
    yield a
    a.end()


@pytest.fixture(autouse=True)
def no_faults(agent):
    yield
    agent.fault("clear")


def test_registration_sessions_and_calls_have_their_form(agent):
    """B4, B5, B7, B10, B59: signed requests with the headers ECS wants; every call was accepted by
    a server that verifies the signature."""
    calls = agent.record("call")
    assert {c["operation"] for c in calls} >= {"RegisterContainerInstance", "DiscoverPollEndpoint"}
    for c in calls:
        h = c["headers"]
        assert c["status"] == 200 and c["method"] == "POST" and c["target"] == "/"
        assert h["X-Amz-Target"] == "AmazonEC2ContainerServiceV20141113." + c["operation"]
        assert h["Content-Type"] == "application/x-amz-json-1.1"
        assert re.fullmatch(r"Amazon ECS Agent - v\d\S* \(\S+\) \(linux; \w+\) "
                            r"\(\+http://aws.amazon.com/ecs/\)", h["User-Agent"]), h["User-Agent"]
        assert re.fullmatch(r"AWS4-HMAC-SHA256 Credential=AKIA\w+/\d{8}/us-east-1/ecs/aws4_request, "
                            r"SignedHeaders=content-length;content-type;host;x-amz-date;"
                            r"x-amz-target", h["Authorization"]), h["Authorization"]
    (discover, *_) = [c for c in calls if c["operation"] == "DiscoverPollEndpoint"]
    (instance,) = agent.aws("list-container-instances")["containerInstanceArns"]
    assert discover["body"] == {"cluster": "default", "zoneId": "", "containerInstance": instance}
    (acs, *_) = agent.record("handshake", "acs")
    assert acs["status"] == 101
    assert acs["headers"]["Authorization"].endswith("/ecs/aws4_request, SignedHeaders=host;x-amz-date")
    path, query = acs["target"].split("?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    assert path == "/ws" and [k for k, _ in pairs] == sorted(k for k, _ in pairs)
    pairs = dict(pairs)
    assert re.fullmatch(r"[0-9a-f]{8}", pairs.pop("agentHash"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", pairs.pop("agentVersion"))
    docker = agent.host.docker("version", "--format", "{{.Server.Version}}")
    assert pairs == {"clusterArn": "default", "dockerVersion": "DockerVersion: " + docker,
                     "containerInstanceArn": registered(agent)["containerInstanceArn"],
                     "protocolVersion": "2", "sendCredentials": "true", "seqNum": "1"}


def test_a_task_is_acknowledged_run_and_reported(agent, tasks):
    """B1, B11: payload ack, one ack for each role, RUNNING, STOPPED with its exit code."""
    tasks.register("whole", {"name": "one", "command": ["sh", "-c", "sleep 1; exit 3"]},
                   taskRoleArn=ROLE + "task", executionRoleArn=ROLE + "execution")
    before = last(agent)
    (arn,) = tasks.run("whole")
    reported(agent, arn, "STOPPED", before)
    (payload,) = [e for e in agent.record("sent", "acs", before) if e["type"] == "PayloadMessage"]
    answers = [m for m in messages(agent, before)
               if m["message"].get("messageId") == payload["messageId"]]
    acks = [m["message"] for m in answers if m["type"] == "AckRequest"]
    assert acks == [{"cluster": registered(agent)["clusterArn"],
                     "containerInstance": registered(agent)["containerInstanceArn"],
                     "messageId": payload["messageId"]}]
    roles = [m["message"] for m in answers if m["type"] == "IAMRoleCredentialsAckRequest"]
    assert len(roles) == 2 and len({r["credentialsId"] for r in roles}) == 2
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r["expiration"]) for r in roles)
    running, *_, stopped = [s["body"] for s in submits(agent, arn, before)
                            if s["body"]["status"] != "PENDING"]
    assert running["status"] == "RUNNING" and running["containers"][0]["status"] == "RUNNING"
    assert stopped["status"] == "STOPPED" and stopped["containers"][0]["exitCode"] == 3
    assert stopped["executionStoppedAt"] > stopped["pullStoppedAt"] >= stopped["pullStartedAt"]


def test_heartbeats_are_answered(agent):
    """B9: within a second, with the same id."""
    before = last(agent)
    send(agent, "HeartbeatMessage", messageId="beat", healthy=True)
    wait_message(agent, before, "HeartbeatAckRequest", messageId="beat")
    entries = agent.record(after=before)
    sent = next(e["at"] for e in entries if e["kind"] == "sent" and e.get("messageId") == "beat")
    answered = next(e["at"] for e in entries if e["kind"] == "message")
    assert answered - sent < 1


def test_what_cannot_be_read_is_ignored_and_the_session_lives(agent):
    """B62."""
    before = last(agent)
    for text in ("{", "[]", "null", '"x"', "{}", '{"type":7,"message":{}}',
                 '{"type":"NoSuchMessage","message":{"messageId":"1"}}',
                 '{"type":"HeartbeatMessage"}', '{"type":"HeartbeatMessage","message":[]}',
                 '{"type":"HeartbeatMessage","message":{"messageId":7}}',
                 '{"type":"HeartbeatMessage","message":{"healthy":"yes","messageId":"2"}}',
                 '{"type":"PayloadMessage","message":{"messageId":"3","tasks":"all"}}',
                 '{"type":"PayloadMessage","message":{"messageId":"4","tasks":[7]}}',
                 '{"type":"TaskManifestMessage","message":{"messageId":"5","tasks":{}}}',
                 '{"type":"IAMRoleCredentialsMessage","message":{"messageId":"6",'
                 '"roleCredentials":"none"}}'):
        agent.fault("text", "acs", text=text)
    agent.fault("binary", "acs", hex="00ff7b7d")
    send(agent, "PayloadMessage", messageId="", tasks=[])
    send(agent, "HeartbeatMessage", messageId="alive", healthy=True)
    wait_message(agent, before, "HeartbeatAckRequest", messageId="alive")
    assert [m["message"]["messageId"] for m in messages(agent, before)] == ["alive"]
    assert agent.record("end", "acs", before) == []


def test_bytes_that_are_no_frame_end_the_session_only(agent):
    """B62: the agent connects again."""
    before = last(agent)
    agent.fault("malformed", "acs")
    wait_for("a new session", lambda: agent.record("handshake", "acs", before), 15, agent.logs)
    agent.wait_connected()
    assert agent.record("call", "RegisterContainerInstance", before) == []


def test_large_payloads_and_small_fragments(agent):
    """B63: 200 tasks in several MiB, frames of 16 KiB; then frames of one byte."""
    tasks = [acs_task(f"large{i}", desiredStatus="STOPPED",
                      container={"environment": {"K": "v" * 20000}}) for i in range(200)]
    path = agent.dir / "large.json"
    path.write_text(json.dumps({**registered(agent), "messageId": "large", "seqNum": 1,
                                "tasks": tasks}))
    assert path.stat().st_size > 4000000
    before = last(agent)
    row = agent.fault("fragment", "acs", bytes="16384")
    agent.fault("send", "acs", type="PayloadMessage", message=f"@{path}")
    wait_message(agent, before, "AckRequest", 30, messageId="large")
    agent.fault("clear", str(row["id"]))
    agent.fault("fragment", "acs", bytes="1")
    send(agent, "PayloadMessage", messageId="crumbs", tasks=[
        acs_task("crumbs", desiredStatus="STOPPED")])
    wait_message(agent, before, "AckRequest", messageId="crumbs")
    assert agent.record("end", "acs", before) == []


def test_a_task_that_cannot_be_loaded_is_reported(agent):
    """B14: STOPPED at once, no ack; the good task of the same payload runs."""
    before = last(agent)
    bad = acs_task("bad", container={"portMappings": [{"containerPort": 80, "protocol": "ipx"}]})
    bad["roleCredentials"] = credentials("badrole")
    send(agent, "PayloadMessage", messageId="mixed", seqNum=1, tasks=[
        bad, acs_task("good", roleCredentials=credentials("goodrole"))])
    reason = reported(agent, task_arn("bad"), "STOPPED", before)["reason"]
    assert reason.startswith("UnrecogniedTaskError: Error loading task - ") and "ipx" in reason
    good = reported(agent, task_arn("good"), "STOPPED", before)
    assert good["containers"][0]["exitCode"] == 0
    assert len(submits(agent, task_arn("bad"), before, False)) == 1
    assert not [m for m in messages(agent, before) if m["message"].get("messageId") == "mixed"]


def test_manifest_is_acknowledged_and_stops_only_what_is_confirmed(agent):
    """B25; B22, B23, B24."""
    before = last(agent)
    send(agent, "PayloadMessage", messageId="two", seqNum=1, tasks=[
        acs_task("kept", ["sleep", "600"]), acs_task("lost", ["sleep", "600"])])
    for n in ("kept", "lost"):
        reported(agent, task_arn(n), "RUNNING", before)
    identifiers = [{"taskArn": task_arn("kept"), "taskClusterArn": "default",
                    "desiredStatus": "RUNNING"}]
    send(agent, "TaskManifestMessage", messageId="manifest", timeline=1000, tasks=identifiers)
    wait_message(agent, before, "AckRequest", messageId="manifest")
    question = wait_message(agent, before, "TaskStopVerificationMessage", messageId="manifest")
    assert question["stopCandidates"] == [{
        "taskArn": task_arn("lost"), "taskClusterArn": registered(agent)["clusterArn"],
        "desiredStatus": "STOPPED"}]
    send(agent, "TaskManifestMessage", messageId="old", timeline=1000, tasks=[])
    both = [{"taskArn": task_arn(n)} for n in ("kept", "lost")]
    send(agent, "TaskStopVerificationAck", messageId="other", stopTasks=both)
    send(agent, "TaskStopVerificationAck", messageId="manifest", stopTasks=both[1:])
    send(agent, "TaskStopVerificationAck", messageId="manifest", stopTasks=both)
    reported(agent, task_arn("lost"), "STOPPED", before)
    assert not [m for m in messages(agent, before) if m["message"].get("messageId") == "old"]
    assert [s["body"]["status"] for s in submits(agent, task_arn("kept"), before, False)][-1] == "RUNNING"
    send(agent, "PayloadMessage", messageId="end", tasks=[
        acs_task("kept", desiredStatus="STOPPED")])
    reported(agent, task_arn("kept"), "STOPPED", before)


def test_texts_are_cut_to_what_ecs_takes(agent, tasks):
    """B20: Docker's error is longer than 1024 bytes."""
    tasks.register("longwinded", {"name": "one", "command": ["/" + "a" * 5000]})
    before = last(agent)
    (arn,) = tasks.run("longwinded")
    reported(agent, arn, "STOPPED", before)
    bodies = [s["body"] for s in submits(agent, arn, before)]
    reasons = [c["reason"] for b in bodies for c in b.get("containers", []) if "reason" in c]
    assert any(r.startswith("CannotStartContainerError") for r in reasons), bodies
    assert max(len(r.encode()) for r in reasons) == 1024
    for b in bodies:
        assert len(b["reason"].encode()) <= 1024
        for c in b.get("containers", []):
            assert len(c.get("runtimeId", "")) <= 255 and len(c.get("imageDigest", "")) <= 255


def test_a_killed_backend_loses_nothing(agent, tasks):
    """B3, B8, B75: the same instance, without its own attributes; credentials asked for again after
    a restart of the process, not after one of the session; the other workers stay up."""
    tasks.register("role", {"name": "one", "command": ["sleep", "600"]}, taskRoleArn=ROLE + "b75")
    (arn,) = tasks.run("role")
    reported(agent, arn, "RUNNING")
    (docker_id,) = tasks.container_ids(arn)
    read = "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    served = json.loads(agent.host.docker("exec", docker_id, "sh", "-c", read))
    (first,) = [c["body"] for c in agent.record("call", "RegisterContainerInstance")]
    assert {"name": "stack", "value": "blue"} in first["attributes"]
    assert "containerInstanceArn" not in first

    def sent_credentials(after):
        return [dict(urllib.parse.parse_qsl(h["target"]))["sendCredentials"]
                for h in agent.record("handshake", "acs", after) if h["status"] == 101]
    before = last(agent)
    agent.fault("close", "acs", code="1000")
    assert wait_for("a new session", lambda: sent_credentials(before)) == ["false"]
    before, pids = last(agent), {w["name"]: w["pid"] for w in agent.status()["workers"]}
    os.kill(pids["backend"], signal.SIGKILL)
    assert wait_for("a new session", lambda: sent_credentials(before), 30, agent.logs) == ["true"]
    agent.wait_connected()
    again = {w["name"]: w["pid"] for w in agent.status()["workers"]}
    assert {n for n in pids if again[n] != pids[n]} == {"backend"}
    (second,) = [c["body"] for c in agent.record("call", "RegisterContainerInstance", before)]
    assert second["containerInstanceArn"] == registered(agent)["containerInstanceArn"]
    assert not [a for a in second["attributes"] if a["name"] == "stack"]
    assert json.loads(agent.host.docker("exec", docker_id, "sh", "-c", read)) == served
    agent.aws("stop-task", "--task", arn)
    reported(agent, arn, "STOPPED")


def test_an_acknowledged_task_survives_a_kill(agent):
    """B2: Docker stands still, so all the agent can have done is store the task; it acknowledges,
    is killed, and runs the task once Docker goes on."""
    before = last(agent)
    pids = {w["name"]: w["pid"] for w in agent.status()["workers"]}
    os.kill(agent.host.dockerd.pid, signal.SIGSTOP)
    try:
        send(agent, "PayloadMessage", messageId="durable", seqNum=1,
             tasks=[acs_task("durable", ["sh", "-c", "exit 5"])])
        wait_message(agent, before, "AckRequest", messageId="durable")
        os.kill(pids["engine"], signal.SIGKILL)
        os.kill(pids["backend"], signal.SIGKILL)
    finally:
        os.kill(agent.host.dockerd.pid, signal.SIGCONT)
    stopped = reported(agent, task_arn("durable"), "STOPPED", before, 60)
    assert stopped["containers"][0]["exitCode"] == 5
    agent.wait_connected()


def renewed_credentials_are_served(agent, arn, docker_id, old):
    """B12."""
    before = last(agent)
    assert agent.fault("expire", arn, ms="3600000")["reached"] == 2
    sent = [e["messageId"] for e in agent.record("sent", "acs", before)]
    for message_id in sent:
        wait_message(agent, before, "IAMRoleCredentialsAckRequest", messageId=message_id)
    new = json.loads(agent.host.docker(
        "exec", docker_id, "sh", "-c",
        "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
    assert new["SecretAccessKey"] != old["SecretAccessKey"]
    assert new["Expiration"] < old["Expiration"] and new["RoleArn"] == old["RoleArn"]


def test_no_secret_is_left_anywhere(agent, tasks):
    """B77, H5: logs, databases, command lines, what ecsctl tells."""
    tasks.register("secretive", {"name": "one", "command": ["sleep", "600"]},
                   taskRoleArn=ROLE + "b77", executionRoleArn=ROLE + "b77x")
    (arn,) = tasks.run("secretive")
    reported(agent, arn, "RUNNING")
    before = last(agent)
    send(agent, "PayloadMessage", messageId="told", tasks=[
        acs_task("told", ["sleep", "1"], roleCredentials=credentials("b77"))])
    wait_message(agent, before, "AckRequest", messageId="told")
    wait_message(agent, before, "IAMRoleCredentialsAckRequest", credentialsId="b77")
    (docker_id,) = tasks.container_ids(arn)
    served = json.loads(agent.host.docker(
        "exec", docker_id, "sh", "-c",
        "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
    secrets = [s.encode() for s in (
        agent.keys()[1], agent.keys("agent")[1], served["SecretAccessKey"],
        "the-secret-of-b77", "the-token-of-b77")]
    own = agent.data / "local" / "credentials"
    files = [p for p in [*agent.dir.rglob("*")] if p.is_file() and p != own]
    assert any(p.name == "engine.db" for p in files) and agent.log in files
    texts = {str(p): p.read_bytes() for p in files}
    for pid in [agent.process.pid] + [w["pid"] for w in agent.status()["workers"]]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                texts[f"{pid} {name}"] = f.read()
    for words in (["status"], ["tasks"], ["task", arn], ["--json", "task", arn], ["local", "record"]):
        texts[" ".join(words)] = agent.ctl(*words).stdout.encode()
    found = [(name, s) for name, text in texts.items() for s in secrets if s in text]
    assert not found
    renewed_credentials_are_served(agent, arn, docker_id, served)
    agent.aws("stop-task", "--task", arn)
    reported(agent, arn, "STOPPED")


def test_stops_go_before_starts(agent):
    """B15: in a payload that names the start first, the engine takes the stops first."""
    before = last(agent)
    send(agent, "PayloadMessage", messageId="a", seqNum=1, tasks=[acs_task("b15a", ["sleep", "600"])])
    reported(agent, task_arn("b15a"), "RUNNING", before)
    send(agent, "PayloadMessage", messageId="ab", seqNum=2, tasks=[
        acs_task("b15b", ["true"]), acs_task("b15a", desiredStatus="STOPPED"),
        acs_task("b15c", desiredStatus="STOPPED")])
    wait_message(agent, before, "AckRequest", messageId="ab")
    for name in ("b15a", "b15b"):
        reported(agent, task_arn(name), "STOPPED", before)
    accepted = [line for line in agent.log.read_text().splitlines() if "task accepted" in line]
    start, stop = ([i for i, line in enumerate(accepted) if name in line] for name in ("b15b", "b15c"))
    assert stop < start, accepted[-4:]
