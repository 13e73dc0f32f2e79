"""What asks the metadata service of EC2 before anything runs: a child without privilege, whose
answer is checked, since the supervisor reads nothing from the network. DESIGN 3."""
import os
import pathlib
import subprocess
import time

import pytest

from conftest import Agent, run, wait_for

SLOW = """
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', 8169))
s.listen()
print('ready', flush=True)
kept = []
while True:
    c, _ = s.accept()
    kept.append(c)
    if len(sys.argv) > 1:
        c.recv(4096)
        body = sys.argv[1].encode().decode('unicode_escape').encode('latin-1')
        c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n'
                  % len(body) + body)
        c.close()
"""


@pytest.fixture
def serve(host):
    started = []

    def start(*answer):
        p = subprocess.Popen(host.enter("/usr/bin/python3", "-c", SLOW, *answer),
                             stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline() == "ready\n"
        started.append(p)
    yield start
    for p in started:
        p.kill()
        p.wait()


def remote_agent(host):
    """Not local mode, no region set: only the metadata service could say it."""
    a = Agent(host, AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:8169",
              ECS_BACKEND_HOST="http://127.0.0.1:9")
    with open(a.log, "ab") as out:
        a.process = subprocess.Popen(host.enter(a.bin / "ecs-supervisor"), stdout=out, stderr=out,
                                     env=a.environment, start_new_session=True)
    return a


def test_the_child_has_no_privilege(host, serve):
    """Caught while the service does not answer: an own user, no capability it could use, none of
    the supervisor's descriptors or environment; and it ends with its parent."""
    serve()
    agent = remote_agent(host)
    try:
        pid = int(wait_for("the child runs", lambda: run(
            "pgrep", "-P", agent.process.pid, "-f", "imds", check=False).stdout.split(), 10,
            agent.logs)[0])
        wait_for("it has become the program", lambda: "imds" in os.readlink(f"/proc/{pid}/exe"))
        status = dict(l.split(":\t", 1) for l in
                      pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in l)
        assert all(int(u) >= 61184 for u in status["Uid"].split() + status["Gid"].split())
        assert status["Groups"].split() == [] and status["NoNewPrivs"] == "1"
        for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert b"ECS_" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert "supervisor.lock" not in target and "control" not in target, target
    finally:
        agent.kill()
    # at once, not when its own time-out of some seconds has passed
    wait_for("it ends with the supervisor", lambda: run(
        "ps", "-o", "stat=", "-p", pid, check=False).stdout[:1] in ("", "Z"), 1)


@pytest.mark.parametrize("answer", [
    '{"region": "us-east-1\\\\nAWS_SECRET"}', '{"region": "../../etc/passwd"}',
    '{"region": "\\\\u001b[31mred"}', '{"region": 7}', "<html>", "\\0\\0\\0"])
def test_a_hostile_answer_is_no_region(host, serve, answer):
    """Exit 1 with what to do; not a byte of the answer reaches the log unescaped."""
    serve(answer)
    agent = remote_agent(host)
    assert agent.process.wait(30) == 1
    text = agent.log.read_text()
    assert "set AWS_DEFAULT_REGION" in text
    assert "\x1b" not in text and "\0" not in text and "AddressSanitizer" not in text


def test_a_stop_during_the_wait_is_obeyed(host, serve):
    """H45."""
    serve()
    agent = remote_agent(host)
    wait_for("the child runs", lambda: run("pgrep", "-P", agent.process.pid, "-f", "imds",
                                           check=False).stdout, 10, agent.logs)
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 3
    assert not agent.run_dir.exists() or list(agent.run_dir.iterdir()) == []
