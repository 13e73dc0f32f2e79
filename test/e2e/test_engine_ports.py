"""Host ports on real Docker: ranges, one port under two protocols, none left, one that somebody takes
between its choice and the start."""
import json
import os
import signal
import socket

import pytest

from conftest import Agent, wait_for
from plane import inside

FIRST, LAST = 42000, 42009


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, scale=5, ECS_DYNAMIC_HOST_PORT_RANGE=f"{FIRST}-{LAST}").start()
    yield a
    a.end()


def bindings(tasks, arn):
    (task,) = tasks.describe(arn)
    return task["containers"][0]["networkBindings"]


def published(agent, tasks, arn):
    """Docker's own word: container port -> host port on 0.0.0.0."""
    (i,) = json.loads(agent.host.docker("inspect", *tasks.container_ids(arn)))
    return {k: int(b["HostPort"]) for k, l in i["NetworkSettings"]["Ports"].items()
            for b in l or [] if b["HostIp"] == "0.0.0.0"}


def test_a_range_is_one_binding(agent, tasks):
    """E27, E29: contiguous ports, told as one; tcp and udp of one port are two."""
    tasks.register("range", {"command": ["sleep", "600"], "name": "one", "portMappings": [
        {"containerPort": 53, "protocol": "tcp"}, {"containerPort": 53, "protocol": "udp"},
        {"containerPortRange": "7000-7003"}]})
    (arn,) = tasks.run("range")
    tasks.wait("RUNNING", arn)
    found = published(agent, tasks, arn)
    start = found["7000/tcp"]
    assert [found[f"{7000 + i}/tcp"] for i in range(4)] == [start + i for i in range(4)]
    assert FIRST <= start and start + 3 <= LAST
    told = bindings(tasks, arn)
    assert {"bindIP": "0.0.0.0", "containerPortRange": "7000-7003",
            "hostPortRange": f"{start}-{start + 3}", "protocol": "tcp"} in told
    for protocol in "tcp", "udp":
        assert {"bindIP": "0.0.0.0", "containerPort": 53, "protocol": protocol,
                "hostPort": found[f"53/{protocol}"]} in told
    assert len(told) == 3
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_no_port_left(agent, tasks, host):
    """E28: the reasons."""
    tasks.register("single", {"command": ["sleep", "600"], "name": "one",
                              "portMappings": [{"containerPort": 80}]})
    tasks.register("wide", {"command": ["sleep", "600"], "name": "one",
                            "portMappings": [{"containerPortRange": "100-110"}]})
    with inside(host):
        held = []
        for port in range(FIRST, LAST + 1):
            s = socket.socket()
            s.bind(("0.0.0.0", port))
            s.listen()
            held.append(s)
    try:
        single, wide = tasks.run("single") + tasks.run("wide")
        reasons = [t["containers"][0]["reason"] for t in tasks.wait("STOPPED", single, wide)]
    finally:
        for s in held:
            s.close()
    assert reasons == [
        "HostConfigError: error retrieving docker port map: a host port is unavailable",
        "HostConfigError: error retrieving docker port map: 11 contiguous host ports are "
        "unavailable"]


def proxies(dockerd):
    """Pids of the daemon's running docker-proxy children."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{pid}/stat").read()
        except OSError:
            continue
        name, rest = stat.split("(", 1)[1].rsplit(")", 1)
        state, parent = rest.split()[:2]
        if name == "docker-proxy" and int(parent) == dockerd and state != "Z":
            found.append(int(pid))
    return found


def test_a_clash_is_not_the_end(agent, tasks, host):
    """A port that Docker refuses at the start is left to its owner; another one is chosen. The owner
    here is a container that does not listen any more, so that no probe can see it."""
    holder = host.docker("run", "-d", "-p", f"{FIRST}-{LAST - 1}:{FIRST}-{LAST - 1}",
                         "ecs-hello:latest", "sleep", "600")
    for pid in proxies(host.dockerd.pid):
        os.kill(pid, signal.SIGKILL)
    wait_for("nothing listens", lambda: not proxies(host.dockerd.pid), 20)
    try:
        tasks.register("clash", {"command": ["sleep", "600"], "name": "one",
                                 "portMappings": [{"containerPort": 80}]})
        (arn,) = tasks.run("clash")
        tasks.wait("RUNNING", arn)
        assert published(agent, tasks, arn) == {"80/tcp": LAST}
        assert bindings(tasks, arn)[0]["hostPort"] == LAST
        assert len(tasks.container_ids(arn)) == 1
        assert "a host port was taken meanwhile" in agent.log.read_text()
        agent.aws("stop-task", "--task", arn)
        tasks.wait("STOPPED", arn)
    finally:
        host.docker("rm", "-f", holder)
