"""Volumes on real Docker: made with the task, seen by its containers, removed at its clean-up and not
before; shared ones outlive it."""
import json

import pytest

from conftest import Agent, wait_for

SLEEP = ["sleep", "600"]


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, scale=5, ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION="20s",
              ECS_SHARED_VOLUME_MATCH_FULL_CONFIG="true").start()
    yield a
    a.end()


def volumes(host):
    return host.docker("volume", "ls", "-q").split()


def inspect(host, name):
    (v,) = json.loads(host.docker("volume", "inspect", name))
    return v


def at(name, path="/v", **more):
    return {"sourceVolume": name, "containerPath": path, **more}


def docker_volume(name, **configuration):
    return {"name": name, "dockerVolumeConfiguration": configuration}


def test_volumes_of_a_task(agent, tasks, host):
    """E41, E42, E43, R27, R29: a path, an empty volume that two containers share, one of Docker's with
    driver, options and labels; they are there until the clean-up. An engine that ends while they
    are made or removed loses none."""
    path = agent.dir / "shared"
    tasks.register(
        "volumes",
        {"name": "writer", "command": ["sh", "-c", "echo hi > /v/f; echo there > /h/f; sleep 600"],
         "mountPoints": [at("empty"), at("own", "/o"), at("path", "/h")]},
        {"name": "reader", "command": ["sh", "-c", "until cat /v/f; do sleep 1; done; "
                                                   "! echo no > /v/g && sleep 600"],
         "mountPoints": [at("empty", readOnly=True)]},
        volumes=[{"name": "empty"}, {"name": "unused"},
                 {"name": "path", "host": {"sourcePath": str(path)}},
                 docker_volume("own", scope="task", driver="local", labels={"team": "blue"},
                               driverOpts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})])
    (arn,) = tasks.run("volumes")
    agent.ctl("restart", "engine")
    tasks.wait("RUNNING", arn)
    wait_for("the file is on the host", lambda: (path / "f").exists(), 20)
    names = [f"ecs-volumes-1-{n}-{arn.rsplit('/', 1)[1]}" for n in ("empty", "own")]
    assert set(names) == set(volumes(host))
    own = inspect(host, names[1])
    assert own["Driver"] == "local" and own["Labels"] == {"team": "blue"}
    assert own["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    for i in tasks.container_ids(arn):
        (c,) = json.loads(host.docker("inspect", i))
        if c["Config"]["Labels"]["com.amazonaws.ecs.container-name"] == "reader":
            assert c["HostConfig"]["Binds"] == [f"{names[0]}:/v:ro"]
            assert host.docker("logs", i).splitlines()[-1] == "hi"
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)
    assert set(names) <= set(volumes(host))
    wait_for("the volumes are removed", lambda: not set(names) & set(volumes(host)), 40, agent.logs)
    assert (path / "f").exists()
    assert tasks.container_ids(arn) == []


def test_shared_volumes(agent, tasks, host):
    """E44, E45, E46, R28: made once, used again, kept; one that must be there already; one that is
    another than the definition says."""
    shared = lambda labels, autoprovision=True: [docker_volume(
        "common", scope="shared", autoprovision=autoprovision, driver="local", labels=labels)]
    container = {"name": "one", "command": SLEEP, "mountPoints": [at("common")]}
    tasks.register("lacking", container, volumes=shared({"a": "b"}, False))
    tasks.register("shared", container, volumes=shared({"a": "b"}))
    tasks.register("other", container, volumes=shared({"a": "c"}))

    (lacking,) = tasks.run("lacking")
    (task,) = tasks.wait("STOPPED", lacking)
    assert task["stoppedReason"].startswith(
        f"Resource cannot be initialized for task {lacking}: initialize volume: volume detection "
        "failed, volume 'common' does not exist and autoprovision is set to false"), task
    assert tasks.container_ids(lacking) == [] and "common" not in volumes(host)

    first, second = tasks.run("shared", count=2)
    tasks.wait("RUNNING", first, second)
    made = inspect(host, "common")
    assert made["Labels"] == {"a": "b"}
    (lacking, other) = tasks.run("lacking") + tasks.run("other")
    tasks.wait("RUNNING", lacking)
    (task,) = tasks.wait("STOPPED", other)
    assert "volume 'common' exists with labels or options" in task["stoppedReason"]
    for arn in first, second, lacking:
        agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", first, second, lacking)
    wait_for("the containers are cleaned up",
             lambda: not any(map(tasks.container_ids, (first, second, lacking))), 40, agent.logs)
    assert inspect(host, "common") == made


def test_what_docker_refuses_stops_the_task(agent, tasks, host):
    """A volume that Docker cannot make: its words are the reason; nothing is left."""
    tasks.register("nodriver", {"name": "one", "command": SLEEP, "mountPoints": [at("v")]},
                   volumes=[docker_volume("v", scope="task", driver="local",
                                          driverOpts={"nonsense": "1"})])
    (arn,) = tasks.run("nodriver")
    (task,) = tasks.wait("STOPPED", arn)
    assert task["stoppedReason"].startswith("Error response from daemon: "), task["stoppedReason"]
    assert "nonsense" in task["stoppedReason"]
    assert tasks.container_ids(arn) == []
