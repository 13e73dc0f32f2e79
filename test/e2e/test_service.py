"""The service as a whole stopped, killed, damaged; Docker restarted. An agent for each test."""
import os

from conftest import Agent, Tasks, wait_for


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


def test_a_lost_local_database_does_not_cost_the_connection(host):
    """The plane forgot everything while the agent ran: the same instance is registered again, at
    once and told once on either side. The task is unknown to the plane; its container is left to the
    agent's own rules, and new tasks run."""
    agent = Agent(host).start()
    try:
        instance = agent.aws("list-container-instances")["containerInstanceArns"]
        tasks = Tasks(agent)
        tasks.register("lost", {"name": "one", "command": ["sleep", "600"]})
        (arn,) = tasks.run("lost")
        tasks.wait("RUNNING", arn)
        ids = tasks.container_ids(arn)
        agent.ctl("stop", "local")
        for path in (agent.data / "local").glob("local.db*"):
            path.unlink()
        agent.ctl("start", "local")
        wait_for("the same instance is back", lambda: agent.aws(
            "list-container-instances", check=False) == {"containerInstanceArns": instance}, 30,
            agent.logs)
        agent.wait_connected(30)
        text = agent.log.read_text()
        assert text.count("ECS does not know this instance, registering it again") == 1
        assert text.count("an instance that is not in local.db registers again") == 1
        assert agent.aws("describe-tasks", "--tasks", arn)["failures"][0]["reason"] == "MISSING"
        tasks.register("after", {"name": "one", "command": ["true"]})
        tasks.wait("STOPPED", *tasks.run("after"))
        host.docker("rm", "-f", *ids)
    finally:
        agent.stop()
