"""One worker restarted, killed, or all of them, while tasks run."""
import json
import os
import signal
import subprocess

import pytest

from conftest import Agent, Tasks, wait_for

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


def test_identity_and_tasks_survive_the_service(host):
    """B3, B74, H2, H3: SIGTERM exits 0 and leaves containers; the same instance comes back."""
    agent = Agent(host).start()
    tasks = Tasks(agent)
    try:
        tasks.register("survivor", {"name": "one", "command": ["sleep", "300"]})
        (arn,) = tasks.run("survivor")
        tasks.wait("RUNNING", arn)
        instance = agent.aws("list-container-instances")["containerInstanceArns"]
        ids = tasks.container_ids(arn)
        assert agent.stop() == 0
        assert tasks.container_ids(arn) == ids
        agent.start()
        assert agent.aws("list-container-instances")["containerInstanceArns"] == instance
        assert tasks.describe(arn)[0]["lastStatus"] == "RUNNING"
        assert tasks.container_ids(arn) == ids
        agent.aws("stop-task", "--task", arn)
        tasks.wait("STOPPED", arn)
    finally:
        agent.stop()


def test_the_supervisor_killed(host):
    """Workers end by themselves; a new supervisor finds everything."""
    agent = Agent(host).start()
    tasks = Tasks(agent)
    try:
        tasks.register("orphan", {"name": "one", "command": ["sleep", "300"]})
        (arn,) = tasks.run("orphan")
        tasks.wait("RUNNING", arn)
        pids = [w["pid"] for w in agent.status()["workers"]]
        agent.kill()
        wait_for("the workers have ended", lambda: not any(
            os.path.exists(f"/proc/{p}/exe") and os.path.exists(f"/proc/{p}") for p in pids), 10)
        agent.start()
        assert tasks.describe(arn)[0]["lastStatus"] == "RUNNING"
        agent.aws("stop-task", "--task", arn)
        tasks.wait("STOPPED", arn)
    finally:
        agent.stop()


def test_docker_restarted_under_the_agent(host):
    """E59: containers that died with Docker are reported, the agent says it is degraded."""
    agent = Agent(host).start()
    tasks = Tasks(agent)
    try:
        tasks.register("fragile", {"name": "one", "command": ["sleep", "300"]})
        (arn,) = tasks.run("fragile")
        tasks.wait("RUNNING", arn)
        host.stop_docker()
        wait_for("status says so", lambda: any(
            w["degraded"] and "docker unreachable" in w["text"]
            for w in agent.status()["workers"]))
        host.start_docker()
        tasks.wait("STOPPED", arn)
        assert not any(w["degraded"] for w in agent.status()["workers"])
    finally:
        agent.stop()


def test_a_damaged_database_costs_neither_identity_nor_service(host):
    agent = Agent(host).start()
    try:
        instance = agent.aws("list-container-instances")["containerInstanceArns"]
        agent.stop()
        for name in ("engine/engine.db", "backend/backend.db"):
            path = agent.data / name
            path.write_bytes(b"this is no database" * 1000)
            for tail in ("-wal", "-shm"):
                path.with_name(path.name + tail).unlink(missing_ok=True)
        agent.start()
        assert agent.aws("list-container-instances")["containerInstanceArns"] == instance
        assert "database was damaged: moved aside" in agent.log.read_text()
        assert list((agent.data / "engine").glob("engine.db.damaged-*"))
        tasks = Tasks(agent)
        tasks.register("after", {"name": "one", "command": ["true"]})
        tasks.wait("STOPPED", *tasks.run("after"))
    finally:
        agent.stop()
