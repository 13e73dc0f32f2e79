"""The engine's rules about time and order on real Docker. Timers run twenty times faster (a
restartAttemptPeriod of 60 s is 3 s), Docker's own do not."""
import json
import time

import pytest

from conftest import Agent, Tasks, wait_for


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, scale=20).start()
    yield a
    a.end()


@pytest.fixture(scope="module")
def tasks(agent):
    return Tasks(agent)


def stop(agent, tasks, *arns):
    for arn in arns:
        agent.aws("stop-task", "--task", arn)
    return tasks.wait("STOPPED", *arns)


def inspects(agent, tasks, arn):
    """Docker's view of the task's containers, by their names."""
    found = json.loads(agent.host.docker("inspect", *tasks.container_ids(arn)))
    return {i["Config"]["Labels"]["com.amazonaws.ecs.container-name"]: i for i in found}


def moment(text):
    """Seconds of a time as Docker prints it; whole nanoseconds do not fit a float's digits."""
    date, _, fraction = text.rstrip("Z").partition(".")
    return (time.mktime(time.strptime(date, "%Y-%m-%dT%H:%M:%S")) - time.timezone
            + float(f"0.{fraction or 0}"))


def policy(**more):
    return {"enabled": True, "restartAttemptPeriod": 60, **more}


def test_restart_policy(agent, tasks):
    """E51, E52, M36: started again in place once it ran for the period; ECS is told nothing; its
    exit codes, an early end and a wanted stop end it."""
    tasks.register("again", {"name": "one", "command": ["sh", "-c", "sleep 4; exit 5"],
                             "restartPolicy": policy()})
    tasks.register("early", {"name": "one", "command": ["sh", "-c", "sleep 1; exit 6"],
                             "restartPolicy": policy()})
    tasks.register("ignored", {"name": "one", "command": ["sh", "-c", "sleep 4; exit 7"],
                               "restartPolicy": policy(ignoredExitCodes=[7])})
    again, early, ignored = (tasks.run(f)[0] for f in ("again", "early", "ignored"))
    tasks.wait("RUNNING", again)
    ids = tasks.container_ids(again)
    for arn, code in ((early, 6), (ignored, 7)):
        (task,) = tasks.wait("STOPPED", arn)
        assert task["containers"][0]["exitCode"] == code

    def count():
        (i,) = inspects(agent, tasks, again).values()
        uri = dict(e.split("=", 1) for e in i["Config"]["Env"])["ECS_CONTAINER_METADATA_URI_V4"]
        path = uri.replace("169.254.170.2", "127.0.0.1:51679")
        told = json.loads(agent.host.run("curl", "-sf", path).stdout)
        assert told["KnownStatus"] == "RUNNING" and "ExitCode" not in told, told
        return told["RestartCount"]

    wait_for("two restarts", lambda: count() >= 2, seconds=60)
    assert tasks.container_ids(again) == ids
    (task,) = tasks.describe(again)
    assert task["lastStatus"] == "RUNNING"
    # the count is the engine's memory, not its process's
    before = count()
    agent.ctl("restart", "engine")
    wait_for("restarts after the engine's own", lambda: count() > before, seconds=60)
    stop(agent, tasks, again)
    assert tasks.container_ids(again) == ids


def test_order_of_starts(agent, tasks):
    """E30, E31: each condition holds when the dependent is created; HEALTHY within a second."""
    health = {"command": ["CMD-SHELL", "test -e /tmp/ok"], "interval": 5, "retries": 10}
    tasks.register(
        "order",
        {"name": "base", "command": ["sh", "-c", "sleep 2; touch /tmp/ok; sleep 600"],
         "healthCheck": health},
        {"name": "brief", "command": ["sh", "-c", "sleep 2; exit 3"], "essential": False},
        {"name": "good", "command": ["sleep", "1"], "essential": False},
        *({"name": f"after-{on}", "command": ["sleep", "600"],
           "dependsOn": [{"containerName": on, "condition": condition}]}
          for on, condition in (("base", "HEALTHY"), ("brief", "COMPLETE"), ("good", "SUCCESS"))),
        {"name": "with-base", "command": ["sleep", "600"],
         "dependsOn": [{"containerName": "base", "condition": "START"}]})
    (arn,) = tasks.run("order")
    tasks.wait("RUNNING", arn)
    i = inspects(agent, tasks, arn)
    created = {name: moment(x["Created"]) for name, x in i.items()}
    assert created["with-base"] >= moment(i["base"]["State"]["StartedAt"])
    assert created["after-brief"] >= moment(i["brief"]["State"]["FinishedAt"])
    assert created["after-good"] >= moment(i["good"]["State"]["FinishedAt"])
    first_good = next(e for e in i["base"]["State"]["Health"]["Log"] if e["ExitCode"] == 0)
    assert 0 <= created["after-base"] - moment(first_good["End"].replace("+00:00", "Z")) < 1
    stop(agent, tasks, arn)


def test_start_timeout(agent, tasks):
    """E33: a dependency that is not healthy in time ends the waiting."""
    tasks.register(
        "timeout",
        {"name": "never", "command": ["sleep", "600"], "startTimeout": 40,
         "healthCheck": {"command": ["CMD-SHELL", "false"], "interval": 300}},
        {"name": "waits", "command": ["sleep", "600"],
         "dependsOn": [{"containerName": "never", "condition": "HEALTHY"}]})
    (arn,) = tasks.run("timeout")
    (task,) = tasks.wait("STOPPED", arn)
    waits = next(c for c in task["containers"] if c["name"] == "waits")
    assert waits["exitCode"] == 143 and waits["reason"].endswith("has timed out."), waits
    assert waits["reason"].startswith("CannotStartContainerError: dependency graph: "), waits


def test_order_of_stops(agent, tasks):
    """E36: what depends on another is stopped first; what does not, at the same time."""
    slow = ["sh", "-c", "trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done"]
    quick = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    tasks.register("stops", {"name": "base", "command": quick, "stopTimeout": 30},
                   {"name": "top", "command": slow, "stopTimeout": 30,
                    "dependsOn": [{"containerName": "base", "condition": "START"}]},
                   {"name": "alone", "command": quick, "stopTimeout": 30})
    (arn,) = tasks.run("stops")
    tasks.wait("RUNNING", arn)
    stop(agent, tasks, arn)
    ends = {n: moment(i["State"]["FinishedAt"]) for n, i in inspects(agent, tasks, arn).items()}
    assert ends["alone"] < ends["top"] <= ends["base"], ends
