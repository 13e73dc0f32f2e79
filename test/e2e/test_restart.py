"""One worker restarted, killed, or all of them, while tasks run."""
import os
import signal
import subprocess

import pytest

WORKERS = ("engine", "metadata", "backend", "local")


@pytest.fixture(scope="module")
def service(agent, tasks):
    tasks.register("service", {"name": "web", "command": ["httpd", "-f", "-p", "80", "-h", "/www"],
                               "portMappings": [{"containerPort": 80}]})
    (arn,) = tasks.run("service")
    (task,) = tasks.wait("RUNNING", arn)
    yield arn, task["containers"][0]["networkBindings"][0]["hostPort"]
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


PROBE = """
import socket, sys, time, urllib.request
port, end, failed, done = int(sys.argv[1]), time.time() + float(sys.argv[2]), [], 0
while time.time() < end:
    try:
        urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5).read()
        done += 1
    except Exception as e:
        failed.append(f'task: {e}')
    for p in (51678, 51679):
        try:
            socket.create_connection(('127.0.0.1', p), timeout=5).close()
        except Exception as e:
            failed.append(f'{p}: {e}')
    time.sleep(0.02)
print(done, failed)
sys.exit(1 if failed or not done else 0)
"""


def test_each_worker_restarted_while_a_task_serves(agent, service):
    """H8, M9: no failed request to the task, no refused connection to 51678 or 51679."""
    _, port = service
    probe = subprocess.Popen(agent.host.enter("/usr/bin/python3", "-c", PROBE, port, 10),
                             stdout=subprocess.PIPE, text=True)
    for worker in WORKERS:
        before = {w["name"]: w["pid"] for w in agent.status()["workers"]}
        agent.ctl("restart", worker)
        after = {w["name"]: w["pid"] for w in agent.status()["workers"]}
        assert after[worker] != before[worker]
        assert all(after[w] == before[w] for w in WORKERS if w != worker)
    out, _ = probe.communicate()
    assert probe.returncode == 0, out
    agent.wait_connected()


def test_the_same_container_after_every_restart(agent, tasks, service):
    """E9: nothing touched, nothing reported again."""
    arn, _ = service
    before = tasks.container_ids(arn)
    for worker in WORKERS:
        os.kill(agent.pid(worker), signal.SIGKILL)
        agent.wait_connected()
    assert tasks.container_ids(arn) == before
    assert tasks.describe(arn)[0]["lastStatus"] == "RUNNING"


def test_a_stop_while_the_engine_is_down_is_done_later(agent, tasks):
    """B18, E11: what happened while a worker was away is reported once it is back."""
    tasks.register("later", {"name": "one", "command": ["sleep", "300"]})
    (arn,) = tasks.run("later")
    tasks.wait("RUNNING", arn)
    agent.ctl("stop", "engine")
    (docker_id,) = tasks.container_ids(arn)
    agent.host.docker("kill", docker_id)
    agent.ctl("start", "engine")
    (task,) = tasks.wait("STOPPED", arn)
    assert task["containers"][0]["exitCode"] == 137
