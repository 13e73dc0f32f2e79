"""The control group of a task (version 1, the kernel's own): limits, the containers in it, removal."""
import contextlib
import json
import pathlib
import shutil

import pytest

from conftest import Agent, Tasks, wait_for

ROOT = pathlib.Path("/sys/fs/cgroup")
SLEEP = {"name": "one", "command": ["sleep", "600"]}

pytestmark = pytest.mark.skipif(not (ROOT / "memory" / "memory.limit_in_bytes").exists(),
                                reason="no control groups of version 1")


@contextlib.contextmanager
def started(host, **settings):
    a = Agent(host, scale=5, ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION="20s", **settings).start()
    try:
        yield a
    finally:
        a.end()


@pytest.fixture(scope="module")
def agent(host):
    with started(host, ECS_TASK_PIDS_LIMIT="50", ECS_CGROUP_CPU_PERIOD="50ms") as a:
        yield a


def limit(arn, file):
    """Its value in the hierarchy that has it."""
    (path,) = ROOT.glob(f"[!u]*/ecs/{arn.rsplit('/', 1)[1]}/{file}")
    return int(path.read_text())


def groups(arn):
    return list(ROOT.glob(f"*/ecs/{arn.rsplit('/', 1)[1]}"))


def parents(host, tasks, arn):
    return {json.loads(host.docker("inspect", i))[0]["HostConfig"]["CgroupParent"]
            for i in tasks.container_ids(arn)}


def test_limits_of_a_task(agent, tasks, host):
    """E48, R84: quota or shares, memory, pids; containers are below it; gone after the clean-up, not
    before, also when the engine is killed meanwhile."""
    tasks.register("sized", {**SLEEP, "memory": 32}, cpu="512", memory="64")
    tasks.register("plain", {**SLEEP, "cpu": 0}, {**SLEEP, "name": "two", "cpu": 300})
    sized, plain = tasks.run("sized") + tasks.run("plain")
    agent.ctl("restart", "engine")
    tasks.wait("RUNNING", sized, plain)
    assert limit(sized, "cpu.cfs_period_us") == 50000
    assert limit(sized, "cpu.cfs_quota_us") == 25000
    assert limit(sized, "memory.limit_in_bytes") == 64 << 20
    assert limit(plain, "cpu.shares") == 302
    assert limit(plain, "cpu.cfs_quota_us") == -1
    for arn in sized, plain:
        name = arn.rsplit("/", 1)[1]
        assert limit(arn, "pids.max") == 50
        assert parents(host, tasks, arn) == {f"/ecs/{name}"}
        (own,) = json.loads(host.docker("inspect", tasks.container_ids(arn)[0]))
        lines = pathlib.Path(f"/proc/{own['State']['Pid']}/cgroup").read_text().splitlines()
        assert any(l.split(":")[1] == "memory" and f"/ecs/{name}/{own['Id']}" in l for l in lines)
        agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", sized, plain)
    assert groups(sized) and groups(plain)
    wait_for("the groups are removed", lambda: not groups(sized) + groups(plain), 40, agent.logs)


def test_it_is_advertised(agent):
    (arn,) = agent.aws("list-container-instances")["containerInstanceArns"]
    (i,) = agent.aws("describe-container-instances", "--container-instances",
                     arn)["containerInstances"]
    names = {a["name"] for a in i["attributes"]}
    assert {"ecs.capability.task-cpu-mem-limit", "ecs.capability.increased-task-cpu-limit"} <= names


def test_limits_off(agent, host):
    """E50: no parent, the task runs; nothing is advertised."""
    agent.stop()
    with started(host, ECS_ENABLE_TASK_CPU_MEM_LIMIT="false") as agent:
        tasks = Tasks(agent)
        tasks.register("plain", SLEEP)
        (arn,) = tasks.run("plain")
        tasks.wait("RUNNING", arn)
        assert parents(host, tasks, arn) == {""} and groups(arn) == []
        (i,) = agent.aws("describe-container-instances", "--container-instances",
                         *agent.aws("list-container-instances")
                         ["containerInstanceArns"])["containerInstances"]
        assert "ecs.capability.task-cpu-mem-limit" not in {a["name"] for a in i["attributes"]}
        agent.aws("stop-task", "--task", arn)
        tasks.wait("STOPPED", arn)


def test_groups_that_cannot_be_made(agent, host):
    """R85: the task stops with the reason users know, without a container. Demanded limits without
    control groups end the agent with 5."""
    agent.stop()
    root = host.dir / "groups"
    for path in "cpu/cgroup.procs", "cpu/cpu.shares", "memory/cgroup.procs", \
                "memory/memory.limit_in_bytes":
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")
    with started(host, ECS_CGROUP_PATH=str(root)) as agent:
        tasks = Tasks(agent)
        tasks.register("sized", SLEEP, memory="64")
        (arn,) = tasks.run("sized")
        (task,) = tasks.wait("STOPPED", arn)
        assert task["stoppedReason"] == \
            "CgroupError: Agent could not create task's platform resources"
        assert tasks.container_ids(arn) == []
        assert "no hierarchy in" in agent.log.read_text()
    shutil.rmtree(root)
    refused = Agent(host, ECS_CGROUP_PATH=str(root),
                    ECS_ENABLE_TASK_CPU_MEM_LIMIT="true").start(ready=False)
    assert refused.process.wait(20) == 5
    assert "limits of tasks cannot be enforced" in refused.log.read_text()
