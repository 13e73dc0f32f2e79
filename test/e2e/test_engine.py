"""The engine's rules on real Docker: what happens to tasks when containers, payloads or the engine
itself do what they should not. Timers run five times faster; Docker's own do not."""
import json
import os
import signal
import socket
import subprocess

import pytest

from conftest import Agent, Tasks, wait_for
from wire import acs_task, last, messages, reported, send, submits, task_arn, wait_message


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, scale=5, ECS_EXCLUDE_IPV6_PORTBINDING="false",
              ECS_DYNAMIC_HOST_PORT_RANGE="41000-41099").start()
    yield a
    a.end()


@pytest.fixture(scope="module")
def tasks(agent):
    t = Tasks(agent)
    t.register("sleep", {"name": "one", "command": ["sleep", "600"]})
    t.register("brief", {"name": "one", "command": ["sh", "-c", "sleep 4; exit 9"]})
    return t


def stop(agent, tasks, *arns):
    for arn in arns:
        agent.aws("stop-task", "--task", arn)
    return tasks.wait("STOPPED", *arns)


def test_running_only_once_all_are(agent, tasks):
    """E5: a dependent that must wait holds the task's RUNNING back."""
    tasks.register("chain", {"name": "first", "command": ["sleep", "4"], "essential": False},
                   {"name": "last", "command": ["sleep", "600"],
                    "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]})
    (arn,) = tasks.run("chain")
    while tasks.describe(arn)[0]["lastStatus"] == "PENDING":
        pass
    assert len(tasks.container_ids(arn)) == 2
    tasks.wait("RUNNING", arn)
    times = [json.loads(agent.host.docker("inspect", i))[0] for i in tasks.container_ids(arn)]
    first, last = sorted(times, key=lambda i: i["Created"])
    assert first["Config"]["Labels"]["com.amazonaws.ecs.container-name"] == "first"
    assert last["Created"] >= first["State"]["FinishedAt"]
    stop(agent, tasks, arn)


def test_a_non_essential_exit_stops_nothing(agent, tasks):
    """E4: the task stays RUNNING, the container's end is told within 30 s."""
    tasks.register("helper", {"name": "main", "command": ["sleep", "600"]},
                   {"name": "helper", "command": ["sh", "-c", "sleep 1; exit 3"],
                    "essential": False})
    (arn,) = tasks.run("helper")
    tasks.wait("RUNNING", arn)

    def helper():
        (task,) = tasks.describe(arn)
        assert task["lastStatus"] == "RUNNING"
        (c,) = [c for c in task["containers"] if c["name"] == "helper"]
        return c if c["lastStatus"] == "STOPPED" else None
    assert wait_for("the helper's end is reported", helper, 30)["exitCode"] == 3
    stop(agent, tasks, arn)


def test_what_happens_to_containers_is_noticed(agent, tasks):
    """E10, E60, E61, E62: stopped, killed or removed by hand, ended while the engine was halted or
    away; started again by hand."""
    by_stop, by_kill, removed = tasks.run("sleep", count=3)
    tasks.wait("RUNNING", by_stop, by_kill, removed)
    (short,) = tasks.run("brief")
    tasks.wait("RUNNING", short)
    ids = {a: tasks.container_ids(a)[0] for a in (by_stop, by_kill, removed, short)}
    docker = agent.host.docker

    # E60: it ends while the engine is halted
    engine = agent.pid("engine")
    os.kill(engine, signal.SIGSTOP)
    try:
        wait_for("the container has ended", lambda: docker(
            "inspect", "-f", "{{.State.Running}}", ids[short]) == "false", 20)
    finally:
        os.kill(engine, signal.SIGCONT)
    (task,) = tasks.wait("STOPPED", short)
    assert task["containers"][0]["exitCode"] == 9
    assert agent.pid("engine") == engine

    # E61
    docker("stop", "-t", "1", ids[by_stop])
    docker("kill", ids[by_kill])
    for task in tasks.wait("STOPPED", by_stop, by_kill):
        assert task["containers"][0]["exitCode"] in (137, 143)
        assert task["stopCode"] == "EssentialContainerExited"

    # E62: stopped again once, then left alone
    restarts = lambda: docker("inspect", "-f", "{{.State.Running}}", ids[by_kill])
    docker("start", ids[by_kill])
    wait_for("it is stopped again", lambda: restarts() == "false", 60, agent.logs)
    assert tasks.describe(by_kill)[0]["lastStatus"] == "STOPPED"
    docker("start", ids[by_kill])
    with pytest.raises(AssertionError):
        wait_for("it is stopped once more", lambda: restarts() == "false", 3)
    docker("kill", ids[by_kill])

    # E10
    agent.ctl("stop", "engine")
    docker("rm", "-f", ids[removed])
    agent.ctl("start", "engine")
    (task,) = tasks.wait("STOPPED", removed)
    (c,) = task["containers"]
    assert c["reason"] == "ContainerVanishedError: No container matching saved ID found"
    assert "exitCode" not in c


def test_repeated_and_late_payloads(agent, tasks):
    """E87, E88: a payload that comes again changes nothing; a task stopped before the agent has
    heard of it is only reported."""
    tasks.register("role", {"name": "one", "command": ["sleep", "600"]},
                   taskRoleArn="arn:aws:iam::000000000000:role/shop")
    (arn,) = tasks.run("role")
    tasks.wait("RUNNING", arn)
    before = tasks.container_ids(arn)
    started = tasks.describe(arn)[0]["startedAt"]
    # what the engine cannot store is not acknowledged; the backend forgets it with its end
    agent.ctl("stop", "engine")
    (late,) = tasks.run("sleep")
    agent.aws("stop-task", "--task", late)
    agent.ctl("stop", "backend")
    agent.ctl("start", "engine")
    # a new backend has no credentials: the plane sends every task with a role again
    agent.ctl("start", "backend")
    agent.wait_connected()
    (task,) = tasks.wait("STOPPED", late)
    assert tasks.container_ids(late) == []
    assert "exitCode" not in task["containers"][0]
    # a task handed over after the repeat has run: the repeat is behind us
    (after,) = tasks.run("sleep")
    tasks.wait("RUNNING", after)
    assert tasks.container_ids(arn) == before
    assert tasks.describe(arn)[0]["startedAt"] == started
    stop(agent, tasks, arn, after)


def test_ports_the_agent_chooses(agent, tasks):
    """E25, E26: rising over tasks, a busy one skipped, what Docker bound is what is reported, IPv6
    bindings too when asked for."""
    tasks.register("port", {"name": "one", "command": ["sleep", "600"],
                            "portMappings": [{"containerPort": 80}]})
    tasks.register("fixed", {"name": "one", "command": ["sleep", "600"],
                             "portMappings": [{"containerPort": 81, "hostPort": 41050}]})
    fixed = tasks.run("fixed")
    (first,) = tasks.run("port")
    (task,) = tasks.wait("RUNNING", first)
    port = task["containers"][0]["networkBindings"][0]["hostPort"]
    assert 41000 <= port < 41050
    # taken on IPv6 alone, by a process of the host
    busy = subprocess.Popen(agent.host.enter(
        "/usr/bin/python3", "-c",
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET6)\n"
        "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n"
        f"s.bind(('::', {port + 1}))\ns.listen()\nprint('bound', flush=True)\nsys.stdin.read()"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert busy.stdout.readline() == "bound\n"
        (second,) = tasks.run("port")
        (task,) = tasks.wait("RUNNING", second)
    finally:
        busy.stdin.close()
        busy.wait(10)
    bindings = task["containers"][0]["networkBindings"]
    assert {b["hostPort"] for b in bindings} == {port + 2}
    assert all(b["containerPort"] == 80 and b["protocol"] == "tcp" for b in bindings)
    (task,) = tasks.wait("RUNNING", *fixed)
    assert {b["hostPort"] for b in task["containers"][0]["networkBindings"]} == {41050}
    (i,) = json.loads(agent.host.docker("inspect", *tasks.container_ids(second)))
    docker_says = {(b["HostIp"], int(b["HostPort"]))
                   for b in i["NetworkSettings"]["Ports"]["80/tcp"]}
    assert {(b["bindIP"], b["hostPort"]) for b in bindings} == docker_says
    if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
        assert {ip for ip, _ in docker_says} == {"0.0.0.0", "::"}
    # the range goes on after the engine's own restart, past what is in use
    agent.ctl("restart", "engine")
    (third,) = tasks.run("port")
    (task,) = tasks.wait("RUNNING", third)
    assert task["containers"][0]["networkBindings"][0]["hostPort"] not in (port, port + 2, 41050)
    stop(agent, tasks, first, second, third, *fixed)


def test_payloads_as_acs_may_send_them(agent, tasks):
    """E86, E87, E88: overrides.command replaces the command, any other override makes the task
    invalid and the payload is not acknowledged; a stop for a task nobody knows is reported; the
    same task sent twice runs once."""
    before = last(agent)
    send(agent, "PayloadMessage", messageId="m-good", tasks=[
        acs_task("overridden", ["false"], container={
            "overrides": json.dumps({"command": ["sh", "-c", "sleep 3; exit 5"]})})])
    wait_message(agent, before, "AckRequest", messageId="m-good")
    send(agent, "PayloadMessage", messageId="m-again", tasks=[acs_task("overridden", ["false"])])
    send(agent, "PayloadMessage", messageId="m-bad", tasks=[
        acs_task("bad", container={"overrides": {"command": ["true"], "cpu": 1}})])
    send(agent, "PayloadMessage", messageId="m-stop", tasks=[
        acs_task("unknown", desiredStatus="STOPPED")])
    body = reported(agent, task_arn("bad"), "STOPPED", before)
    assert body["reason"].startswith("UnrecogniedTaskError: Error loading task - ")
    assert reported(agent, task_arn("unknown"), "STOPPED", before)["status"] == "STOPPED"
    body = reported(agent, task_arn("overridden"), "STOPPED", before)
    assert [c["exitCode"] for c in body["containers"] if c["status"] == "STOPPED"] == [5]
    for name, count in (("overridden", 1), ("bad", 0), ("unknown", 0)):
        assert len(tasks.container_ids(task_arn(name))) == count, name
        told = [s["body"]["status"] for s in submits(agent, task_arn(name), before, False)]
        assert len(told) == len(set(told)), (name, told)
    acks = {m["message"].get("messageId") for m in messages(agent, before, "AckRequest")}
    assert {"m-good", "m-again", "m-stop"} <= acks and "m-bad" not in acks
