"""A lost engine.db: running containers are adopted from their labels. DESIGN section 5."""
import json
import signal
import sqlite3

from conftest import Agent, Tasks, wait_for


def damage(agent):
    path = agent.data / "engine" / "engine.db"
    path.write_bytes(b"this is no database" * 1000)
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)


def make_unreadable(agent):
    """The file stays whole for sqlite; the tasks' definitions are no messages any more."""
    db = sqlite3.connect(agent.data / "engine" / "engine.db")
    with db:
        assert db.execute("UPDATE task SET spec = x'ffff'").rowcount > 0
    db.close()


def state(host, container):
    return host.docker("inspect", "-f", "{{.State.Running}} {{.RestartCount}} {{.State.StartedAt}}",
                       container)


def test_running_containers_are_adopted(host):
    """Watched, reported, stoppable, never restarted; those of another agent are left alone."""
    agent = Agent(host, scale=5).start()
    tasks = Tasks(agent)
    try:
        tasks.register("port", {"name": "web", "portMappings": [{"containerPort": 80}],
                                "command": ["httpd", "-f", "-p", "80", "-h", "/www"]})
        tasks.register("pair", {"name": "main", "command": ["sleep", "600"]},
                       {"name": "helper", "command": ["sleep", "600"], "essential": False})
        tasks.register("ends", {"name": "one", "command": ["sleep", "600"]})
        (web,), (pair,), (ends,) = tasks.run("port"), tasks.run("pair"), tasks.run("ends")
        before = {t["taskArn"]: t for t in tasks.wait("RUNNING", web, pair, ends)}
        ids = {arn: tasks.container_ids(arn) for arn in before}
        looks = {i: state(host, i) for a in (web, pair) for i in ids[a]}
        (uri,) = {e.split("=", 1)[1] for e in json.loads(host.docker(
            "inspect", "-f", "{{json .Config.Env}}", ids[web][0]))
            if e.startswith("ECS_CONTAINER_METADATA_URI_V4=")}
        foreign = host.docker(
            "run", "-d", "--label", "com.amazonaws.ecs.cluster=default",
            "--label", f"com.amazonaws.ecs.task-arn={web[:-4]}beef",
            "--label", "com.amazonaws.ecs.container-name=other",
            "--label", "ecs-agent.id=00000000-0000-4000-8000-000000000000",
            "ecs-hello:latest", "sleep", "600")
        agent.stop()
        damage(agent)
        host.docker("kill", ids[ends][0])
        agent.start()

        (task,) = tasks.wait("STOPPED", ends)
        assert task["containers"][0]["exitCode"] == 137
        (task,) = tasks.describe(web)
        assert task["lastStatus"] == "RUNNING"
        assert task["containers"][0]["networkBindings"] == (
            before[web]["containers"][0]["networkBindings"])
        assert {i: state(host, i) for i in looks} == looks
        page = json.loads(host.docker("exec", ids[web][0], "wget", "-qO-", uri))
        assert page["DockerId"] == ids[web][0] and page["KnownStatus"] == "RUNNING"

        # a helper may go, the essential one takes its task with it
        names = {host.docker("inspect", "-f", '{{index .Config.Labels '
                             '"com.amazonaws.ecs.container-name"}}', i): i for i in ids[pair]}
        host.docker("kill", names["helper"])
        wait_for("the helper's end is reported", lambda: any(
            c["lastStatus"] == "STOPPED" and c.get("exitCode") == 137
            for c in tasks.describe(pair)[0]["containers"]), 30, agent.logs)
        assert tasks.describe(pair)[0]["lastStatus"] == "RUNNING"
        host.docker("kill", names["main"])
        agent.aws("stop-task", "--task", web, "--reason", "test")
        for t in tasks.wait("STOPPED", pair, web):
            assert all(c["exitCode"] in (137, 143) for c in t["containers"])
        # nothing was doubled, nothing of another agent touched, new tasks run
        assert {arn: tasks.container_ids(arn) for arn in ids} == ids
        assert state(host, foreign).startswith("true 0")
        assert "beef" not in agent.ctl("tasks", "--json").stdout
        (new,) = tasks.run("port")
        tasks.wait("RUNNING", new)
        agent.aws("stop-task", "--task", new)
        tasks.wait("STOPPED", new)
        # once is enough: a restart finds its own database
        agent.ctl("restart", "engine")
        assert agent.log.read_text().count("task adopted from the labels") == 3
    finally:
        agent.stop()
    agent.check_log()


def test_a_stop_that_comes_before_docker_answers(host):
    """The state is lost and Docker away: a stop waits for the containers to be known."""
    agent = Agent(host).start()
    tasks = Tasks(agent)
    try:
        tasks.register("wait", {"name": "one", "command": ["sleep", "600"]})
        (arn,) = tasks.run("wait")
        tasks.wait("RUNNING", arn)
        (container,) = tasks.container_ids(arn)
        agent.ctl("stop", "engine")
        agent.aws("stop-task", "--task", arn)
        make_unreadable(agent)
        host.dockerd.send_signal(signal.SIGSTOP)
        try:
            agent.ctl("start", "engine")
            # the backend hands over at once; nothing may be concluded from an empty database
            wait_for("the engine is back", lambda: agent.pid("engine"))
            assert tasks.describe(arn)[0]["lastStatus"] == "RUNNING"
            # an id that a new metadata worker does not know may be that of a running task
            agent.ctl("restart", "metadata")
            answer = host.run("curl", "-s", "http://127.0.0.1:51679/v2/credentials/x").stdout
            assert json.loads(answer)["code"] == "CredentialsUninitialized"
        finally:
            host.dockerd.send_signal(signal.SIGCONT)
        (task,) = tasks.wait("STOPPED", arn)
        assert task["containers"][0]["exitCode"] in (137, 143)
        assert tasks.container_ids(arn) == [container]
    finally:
        agent.stop()
