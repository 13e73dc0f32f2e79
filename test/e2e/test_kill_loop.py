"""E8, E9, E11: kill -9 of each process in turn while short tasks run, 25 kills; ECS_TEST_LONG=1: 500.

The supervisor is one of them; the test starts it again at once, as systemd would. The order and the
moments come from a seed that is printed (ECS_TEST_SEED repeats it). Kills come every 2 s, in the short
form every second. At the end:
- every container ran exactly once: each has written one line into a file of its own on the host, and
  Docker's log of events has one create and one start for it;
- every status has arrived: each task is STOPPED, its containers with the exit codes Docker tells; what
  the plane was told never went back, and was told twice only across a kill that can have cost the
  answer to the first;
- nothing is left: no container, no state, no file in the run directory, no cgroup, no rule.
A whole run appends a line to test/long/RESULTS.md."""
import collections
import json
import os
import pathlib
import random
import subprocess
import time

import pytest

from conftest import LONG, ROOT, Agent, Tasks, run, wait_for

KILLS = 500 if LONG else 25
EVERY = 2.0 if LONG else 1.0  # seconds
TASKS = 20          # at a time
NAMES = ("main", "side")
PROCESSES = ("engine", "backend", "metadata", "local", "supervisor")
# Whose end may cost the answer to a report that was taken: it is sent again then.
REPEATERS = ("backend", "local", "supervisor")


class User:
    """The one who runs tasks; a call that fails while the plane is down is looked into."""

    def __init__(self, agent):
        here = pathlib.Path(__file__).parent / "plane_client.py"
        self.process = subprocess.Popen(
            agent.host.enter("/usr/bin/python3", here, *agent.keys()), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.waves = 0

    def call(self, operation, **arguments):
        self.process.stdin.write(json.dumps([operation, arguments]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer.get("ok"), answer.get("error")

    def run(self, count):
        """ARNs of `count` new tasks, at most 10; [] when the plane did not take them."""
        self.waves += 1
        name = f"wave-{self.waves}"
        ok, error = self.call("run_task", taskDefinition="short", count=count, startedBy=name)
        if error is None:
            return [t["taskArn"] for t in ok["tasks"]]
        found = []
        for desired in ("RUNNING", "STOPPED"):
            def listed():
                answer, failure = self.call("list_tasks", startedBy=name, desiredStatus=desired)
                return None if failure else [answer["taskArns"]]
            found += wait_for("the plane is back", listed, 60)[0]
        return found

    def describe(self, arns):
        """The tasks, or None while the plane is down."""
        tasks = []
        for i in range(0, len(arns), 100):
            ok, error = self.call("describe_tasks", tasks=arns[i:i + 100])
            if error is not None:
                return None
            tasks += ok["tasks"]
        return tasks

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Record:
    """What the plane was told, kept over its own kills: read before each."""

    def __init__(self, agent):
        self.agent, self.entries, self.after = agent, [], 0

    def drain(self):
        r = self.agent.ctl("--json", "local", "record", self.after, check=False)
        if r.returncode != 0:
            return
        new = json.loads(r.stdout)
        if new:
            self.after = new[-1]["number"]
        self.entries += [e for e in new if e["operation"] == "SubmitTaskStateChange" and
                         e.get("status") == 200]

    def plane_ended(self):
        self.after = 0


def kill_one(agent, record, name, kills):
    """Kills one process; False when it is not up just now."""
    status = agent.status()
    if name in ("local", "supervisor"):
        record.drain()
    if name == "supervisor":
        agent.kill()
        kills.append((time.time(), name))
        agent.start(ready=False)
    else:
        pids = [w["pid"] for w in (status or {"workers": []})["workers"]
                if w["name"] == name and w["state"] == "ready"]
        if not pids:
            return False
        os.kill(pids[0], 9)
        kills.append((time.time(), name))
    if name in ("local", "supervisor"):
        record.plane_ended()
    return True


def kill_loop(agent, user, record, rnd):
    """The loop itself: what was killed when, and the ARNs of all tasks."""
    kills, arns, order = [], [], []
    while len(kills) < KILLS:
        begun = time.monotonic()
        tasks = user.describe(arns[-4 * TASKS:]) if arns else []
        if tasks is not None:
            live = sum(t["lastStatus"] != "STOPPED" for t in tasks)
            while live < TASKS:
                new = user.run(min(10, TASKS - live))
                arns += new
                live += len(new)
                if not new:
                    break
        order = order or rnd.sample(PROCESSES, len(PROCESSES))
        time.sleep(max(0, EVERY * rnd.uniform(0.6, 1.4) - (time.monotonic() - begun)))
        name = order.pop(0)
        # one that is still coming back is waited for: each is hit in turn
        wait_for(f"{name} can be killed", lambda: kill_one(agent, record, name, kills), 90,
                 agent.logs)
    return kills, arns


def check_lines(folder, count):
    files = list(folder.iterdir())
    assert len(files) == count, f"{len(files)} containers have run, not {count}"
    for path in files:
        lines = path.read_text().splitlines()
        assert len(lines) == 1, f"{path.name} has run {len(lines)} times: {lines}"


def check_events(events, tasks):
    """One create, start and end for each container of each task, with the exit code reported."""
    seen, codes = collections.Counter(), {}
    for line in events.splitlines():
        e = json.loads(line)
        said = e["Actor"]["Attributes"]
        key = (said.get("com.amazonaws.ecs.task-arn"), said.get("com.amazonaws.ecs.container-name"))
        seen[*key, e["Action"]] += 1
        if e["Action"] == "die":
            codes[key] = int(said["exitCode"])
    for t in tasks:
        for c in t["containers"]:
            key = (t["taskArn"], c["name"])
            for action in ("create", "start", "die"):
                assert seen[*key, action] == 1, (*key, action, seen[*key, action])
            assert c.get("exitCode") == codes[key], (*key, c, codes[key])


def in_between(kills, first, last):
    return any(first - 1 <= at <= last and name in REPEATERS for at, name in kills)


def check_record(entries, kills):
    """Nothing goes back; nothing is told twice without a cause. Returns the number of repeats."""
    rank = {"PENDING": 0, "RUNNING": 1, "STOPPED": 2}
    last, repeats = {}, 0
    for e in entries:
        body = e["body"]
        told = [((body["task"],), body["status"])] + [
            ((body["task"], c["containerName"]), c["status"]) for c in body.get("containers", [])]
        for key, status in told:
            before, at = last.get(key, (None, 0))
            if before is not None:
                assert rank[status] >= rank[before], f"{key} told {status} after {before}"
            # a task's RUNNING comes again with each of its containers' ends
            if status == before and (len(key) == 2 or status == "STOPPED"):
                repeats += 1
                assert in_between(kills, at, e["at"]), f"{key} was told {status} twice"
            last[key] = (status, e["at"])
    return repeats


def of_agent(agent):
    """The same Docker serves the agents of other tests, before this one."""
    return "--filter", f"label=ecs-agent.id={(agent.data / 'engine' / 'agent-id').read_text().strip()}"


def whereabouts(agent):
    """What is known of the containers that are left."""
    left = agent.host.docker("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}} "
                             '{{.Label "com.amazonaws.ecs.task-arn"}}',
                             *of_agent(agent)).splitlines()
    ids = [l.split()[-1].split("/")[-1] for l in left]
    lines = agent.log.read_text().splitlines()
    return "\n".join(left + [l for l in lines if any(i in l for i in ids)] + lines[-20:])


def check_nothing_left(agent, arns):
    wait_for("clean-up has removed every container", lambda: agent.host.docker(
        "ps", "-aq", *of_agent(agent)) == "", 60,
        lambda: whereabouts(agent))
    wait_for("no task is known any more",
             lambda: json.loads(agent.ctl("tasks", "--json").stdout) in ([], {"tasks": []}), 60,
             lambda: agent.ctl("tasks", "--json").stdout[:2000])
    assert agent.stop() == 0
    left = [p for p in agent.run_dir.rglob("*") if not p.is_dir()] if agent.run_dir.exists() else []
    assert left == [], left
    assert "ecs_agent" not in agent.host.run("nft", "list", "tables").stdout
    ids = {a.split("/")[-1] for a in arns}
    cgroups = [p for p in pathlib.Path("/sys/fs/cgroup").glob("**/ecs/*") if p.name in ids]
    assert cgroups == [], cgroups


def commit():
    return run("git", "-C", ROOT, "rev-parse", "--short", "HEAD", check=False).stdout.strip() or "?"


@pytest.fixture
def agent(host):
    a = Agent(host, ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION="5s").start()
    yield a
    a.stop()


def test_kill_loop(host, agent, capsys):
    seed = int(os.environ.get("ECS_TEST_SEED", time.time()))
    with capsys.disabled():
        print(f"\nkill loop, {KILLS} kills: ECS_TEST_SEED={seed} repeats it")
    began, rnd, built = time.time(), random.Random(seed), commit()
    folder = agent.dir / "lines"
    folder.mkdir()
    folder.chmod(0o777)
    # one line a start, in a file named by the container's own endpoint id
    note = "echo started >> /lines/${ECS_CONTAINER_METADATA_URI_V4##*/}; "
    mount = {"mountPoints": [{"sourceVolume": "lines", "containerPath": "/lines"}], "cpu": 2,
             "memory": 16}
    Tasks(agent).register(
        "short", {"name": "main", "command": ["sh", "-c", note + "sleep 3; exit 7"], **mount},
        {"name": "side", "command": ["sh", "-c", note + "sleep 1; exit 3"], "essential": False,
         **mount},
        volumes=[{"name": "lines", "host": {"sourcePath": str(folder)}}])
    user, record = User(agent), Record(agent)
    log = agent.dir / "events.log"
    with open(log, "wb") as out:
        events = subprocess.Popen(
            ["docker", "-H", f"unix://{host.socket}", "events", "--format", "{{json .}}",
             "--filter", "type=container", "--filter", "event=create", "--filter", "event=start",
             "--filter", "event=die"], stdout=out)
    result = "failed"
    kills, arns = [], []
    try:
        kills, arns = kill_loop(agent, user, record, rnd)

        def all_stopped():
            tasks = user.describe(arns)
            return tasks if tasks and all(t["lastStatus"] == "STOPPED" for t in tasks) else None
        agent.wait_connected(60)
        tasks = wait_for("every task has stopped", all_stopped, 180, lambda: agent.logs() + str(
            [(t["taskArn"], t["lastStatus"]) for t in user.describe(arns) or []
             if t["lastStatus"] != "STOPPED"]))
        record.drain()
        assert len(arns) == len(set(arns)) == len(tasks)
        check_lines(folder, len(arns) * len(NAMES))
        repeats = check_record(record.entries, kills)
        check_nothing_left(agent, arns)
        check_events(log.read_text(), tasks)
        agent.check_log()
        result = f"passed: {len(arns)} tasks, {repeats} reports repeated"
    finally:
        events.terminate()
        events.wait()
        user.close()
        if LONG:
            with open(ROOT / "test" / "long" / "RESULTS.md", "a") as out:
                out.write(f"| {time.strftime('%Y-%m-%d')} | kill loop | {built} | {seed} | "
                          f"{len(kills)} | {time.time() - began:.0f} s | {result} |\n")
