"""ecsctl debug: a worker run in the caller's terminal in the place of the supervised one, and the
slot given back however that ends. DESIGN 3."""
import os
import signal
import subprocess

import pytest

from conftest import BIN, run, wait_for

WORKERS = ("engine", "metadata", "backend", "local")


def state(agent, worker):
    return next(w["state"] for w in agent.status()["workers"] if w["name"] == worker)


class Debugged:
    """ecsctl debug in the background."""

    def __init__(self, agent, worker, *command):
        self.agent, self.worker = agent, worker
        self.output = agent.dir / "debug.out"
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(
                agent.host.enter(BIN / "ecsctl", "--run-dir", agent.run_dir, "debug", worker,
                                 *(["--", *command] if command else [])),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        wait_for(f"{worker} is debugged", lambda: state(agent, worker) == "debug",
                 on_failure=self.text)

    def text(self):
        return self.output.read_text() + self.agent.logs()

    def child(self):
        return int(run("pgrep", "-P", self.process.pid).stdout.split()[0])

    def wait_given_back(self):
        wait_for("the slot is given back", lambda: state(self.agent, self.worker) == "ready",
                 on_failure=self.text)
        self.agent.wait_connected()


@pytest.fixture(scope="module")
def running(agent, tasks):
    tasks.register("traced", {"name": "one", "command": ["sleep", "600"]})
    (arn,) = tasks.run("traced")
    tasks.wait("RUNNING", arn)
    yield arn
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_the_engine_works_under_strace(agent, tasks, running):
    """A task runs through the traced engine; strace -f sees its calls; other workers know nothing
    of it."""
    trace = agent.dir / "trace"
    others = {w: agent.pid(w) for w in WORKERS if w != "engine"}
    d = Debugged(agent, "engine", "strace", "-f", "-o", trace)
    tasks.register("short", {"name": "one", "command": ["sh", "-c", "exit 3"]})
    (task,) = tasks.wait("STOPPED", *tasks.run("short"))
    assert task["containers"][0]["exitCode"] == 3
    assert {w: agent.pid(w) for w in others} == others
    os.kill(agent.pid("engine"), signal.SIGINT)  # as Ctrl-C does
    d.process.wait(20)
    d.wait_given_back()
    text = trace.read_text()
    assert "execve(" in text and "setresuid(" in text and "epoll_wait(" in text
    assert tasks.describe(running)[0]["lastStatus"] == "RUNNING"


def test_the_slot_comes_back_when_ecsctl_is_killed(agent, tasks, running):
    """Its traced child ends with the control channel, and never do two engines write."""
    trace = agent.dir / "trace-killed"
    d = Debugged(agent, "engine", "strace", "-f", "-o", trace)
    wait_for("the traced engine serves", lambda: agent.ctl("tasks", check=False).returncode == 0)
    child = d.child()
    d.process.kill()
    d.process.wait()
    d.wait_given_back()
    wait_for("strace has ended", lambda: not os.path.exists(f"/proc/{child}"))
    assert tasks.describe(running)[0]["lastStatus"] == "RUNNING"


def test_a_halted_worker_is_ended_with_its_debugger(agent, tasks, running):
    """gdb holds the engine while ecsctl is killed: the supervised engine still comes back."""
    d = Debugged(agent, "engine", "gdb", "-q", "-ex", "set pagination off",
                 "-ex", "set confirm off", "-ex", "run", "-ex", "shell sleep 600", "--args")
    pid = wait_for("the debugged engine serves", lambda: agent.pid("engine"),
                   on_failure=d.text)
    gdb = d.child()
    os.kill(pid, signal.SIGSTOP)
    d.process.kill()
    d.process.wait()
    d.wait_given_back()
    assert not os.path.exists(f"/proc/{pid}") or open(f"/proc/{pid}/stat").read().split()[2] == "Z"
    try:
        os.killpg(os.getpgid(gdb), signal.SIGKILL)
    except ProcessLookupError:
        pass
    assert tasks.describe(running)[0]["lastStatus"] == "RUNNING"


@pytest.mark.parametrize("worker", WORKERS)
def test_each_worker_can_be_debugged(agent, worker):
    """Without a command it simply runs in the foreground."""
    before = agent.pid(worker)
    d = Debugged(agent, worker)
    pid = wait_for("it serves", lambda: agent.pid(worker), on_failure=d.text)
    r = agent.ctl("debug", worker, "--", "true", check=False)
    assert r.returncode != 0 and "somebody debugs this worker already" in r.stderr
    os.kill(pid, signal.SIGINT)  # as Ctrl-C does
    d.process.wait(20)
    d.wait_given_back()
    assert agent.pid(worker) not in (before, pid)


def test_what_cannot_be_debugged_is_named(agent):
    r = agent.ctl("debug", "nobody", "--", "true", check=False)
    assert r.returncode != 0 and "no such worker" in r.stderr
    r = agent.ctl("debug", "metadata", "--", "/no/such/program", check=False)
    assert r.returncode != 0 and "/no/such/program" in r.stderr
    agent.wait_connected()
