"""ecsctl run, logs, stop, exec and events: a task definition's whole life without the aws CLI."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import BIN, run, wait_for

ECSCTL = BIN / "ecsctl"


def definition(agent, name, *containers, **more):
    path = agent.dir / f"{name}.json"
    path.write_text(json.dumps({"family": name, "containerDefinitions": [
        {"image": "ecs-hello:latest", "memory": 16, "essential": True, "stopTimeout": 2, **c}
        for c in containers], **more}))
    return path


@pytest.fixture
def start(agent):
    """Starts ecsctl; what still runs when the test ends, also when it fails, is ended."""
    started = []

    def begin(*argv):
        started.append(subprocess.Popen(
            [str(a) for a in (ECSCTL, "--run-dir", agent.run_dir, *argv)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def rest(process):
    """What is behind the lines that were read."""
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(60)
    return out, err


def detached(agent, name, *containers):
    """A running task; its ARN."""
    return agent.ctl("run", "-d", definition(agent, name, *containers)).stdout.strip()


def sh(text, **more):
    return {"name": "one", "command": ["sh", "-c", text], **more}


def test_run_shows_output_and_ends_with_the_exit_code(agent):
    r = agent.ctl("run", definition(agent, "seven", sh("echo out; echo err >&2; exit 7")),
                  check=False)
    assert r.returncode == 7
    assert r.stdout == "out\n"
    assert "\nerr\n" in r.stderr and "registered seven:1" in r.stderr
    assert "container one: exit code 7" in r.stderr
    r = agent.ctl("run", definition(agent, "two", sh("echo first; sleep 1"), {
        "name": "side", "essential": False, "command": ["sh", "-c", "echo second"]}), check=False)
    assert r.returncode == 0
    assert sorted(r.stdout.splitlines()) == ["one | first", "side | second"]


def test_run_says_what_is_wrong_with_a_file(agent, tmp_path):
    for text, says in (("{", "line 1"), ("{}", "no containerDefinitions"),
                       ('{"family": "x", "containerDefinitions": []}', "Container list cannot be")):
        (tmp_path / "bad.json").write_text(text)
        r = agent.ctl("run", tmp_path / "bad.json", check=False)
        assert r.returncode == 1 and says in r.stderr, r.stderr
    r = agent.ctl("run", definition(agent, "none", sh("true", command=["/nonexistent"])),
                  check=False)
    assert r.returncode == 1 and "CannotStartContainerError" in r.stderr


def test_interrupt_stops_the_task(agent, tasks, start):
    p = start("run", definition(agent, "until", sh("trap 'echo bye; exit 3' TERM; echo on; "
                                                          "while true; do sleep 0.1; done")))
    assert p.stdout.readline() == "on\n"
    p.send_signal(signal.SIGINT)
    out, err = rest(p)
    assert (p.returncode, out) == (3, "bye\n"), err
    arn = re.search(r"^task ([0-9a-f]{32})$", err, re.M).group(1)
    assert tasks.describe(arn)[0]["stoppedReason"] == "stopped by ecsctl run"


def test_logs_and_stop(agent, tasks, start):
    arn = detached(agent, "counting", sh("i=0; while true; do i=$((i+1)); echo line $i; "
                                         "sleep 0.2; done"))
    task = arn.rsplit("/", 1)[1]
    wait_for("it has printed", lambda: "line 3\n" in agent.ctl("logs", task[:8]).stdout)
    assert agent.ctl("logs", "-n", 1, arn).stdout.count("\n") == 1
    first = json.loads(agent.ctl("logs", "--json", task).stdout.splitlines()[0])
    assert first == {"container": "one", "stream": "stdout", "line": "line 1"}
    # the engine restarted under a follower: no line is lost
    p = start("logs", "-f", task)
    assert p.stdout.readline() == "line 1\n"
    agent.ctl("restart", "engine")
    time.sleep(1)
    agent.ctl("stop", task[:10], "-r", "enough")
    out, err = rest(p)
    assert p.returncode == 0, err
    numbers = [int(n) for n in re.findall(r"line (\d+)", out)]
    assert set(numbers) == set(range(2, max(numbers) + 1)), out
    assert tasks.describe(arn)[0]["stoppedReason"] == "enough"
    assert tasks.describe(arn)[0]["lastStatus"] == "STOPPED"
    r = agent.ctl("logs", "nothing", check=False)
    assert r.returncode == 1 and "no task 'nothing' here" in r.stderr
    r = agent.ctl("logs", "-c", "web", task, check=False)
    assert r.returncode == 1 and "no container 'web'" in r.stderr
    r = agent.ctl("stop", "nothing", check=False)
    assert r.returncode == 1 and "no task 'nothing' here" in r.stderr


def test_exec(agent):
    arn = detached(agent, "shell", sh("sleep 300"))
    r = agent.ctl("exec", arn, "--", "sh", "-c", "echo out; echo err >&2; exit 9", check=False)
    assert (r.returncode, r.stdout, r.stderr) == (9, "out\n", "err\n")
    r = run(ECSCTL, "--run-dir", agent.run_dir, "exec", arn, "--", "cat", input="piped\n" * 1000)
    assert r.stdout == "piped\n" * 1000
    r = agent.ctl("exec", arn, "--", "/nonexistent", check=False)
    assert r.returncode != 0 and "nonexistent" in r.stderr + r.stdout
    # an operator without root may look, not run
    look = ["setpriv", "--reuid", "12345", "--regid", "0", "--clear-groups", ECSCTL, "--run-dir",
            agent.run_dir]
    assert run(*look, "logs", arn).returncode == 0
    r = run(*look, "exec", arn, "--", "true", check=False)
    assert r.returncode == 1 and "root" in r.stderr
    r = run(*look, "stop", arn, check=False)
    assert r.returncode == 1
    agent.ctl("stop", arn)


def test_exec_on_a_terminal_outlives_the_engine(agent):
    """Interactive: prompt, size, Ctrl-C, exit code; the engine is restarted meanwhile."""
    arn = detached(agent, "terminal", sh("sleep 300"))
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(ECSCTL, [str(a) for a in (ECSCTL, "--run-dir", agent.run_dir, "exec", arn)])
    seen = b""

    def expect(text, seconds=30):
        nonlocal seen
        end = time.monotonic() + seconds
        while text not in seen:
            assert select.select([fd], [], [], max(0, end - time.monotonic()))[0], (text, seen)
            seen += os.read(fd, 4096)
        seen = seen[seen.index(text) + len(text):]

    expect(b"/ # ")
    os.write(fd, b"echo term is $TERM\n")
    expect(b"term is xterm")
    agent.ctl("restart", "engine")
    os.write(fd, b"echo still $((40+2))\n")
    expect(b"still 42")
    os.write(fd, b"sleep 100\n")
    time.sleep(0.5)
    os.write(fd, b"\x03")
    expect(b"/ # ")
    os.write(fd, b"exit 5\n")
    deadline = time.monotonic() + 30
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done or time.monotonic() > deadline:
            break
        if select.select([fd], [], [], 0.1)[0]:
            try:
                os.read(fd, 4096)
            except OSError:
                pass
    os.close(fd)
    assert done and os.waitstatus_to_exitcode(status) == 5
    agent.ctl("stop", arn)


def test_events_tell_what_changed(agent, start):
    p = start("events", "-f", "--json")
    arn = detached(agent, "eventful", sh("sleep 300"))
    task = arn.rsplit("/", 1)[1]
    agent.ctl("stop", arn)
    agent.ctl("restart", "backend")
    agent.wait_connected()

    def lines():
        return [json.loads(l) for l in agent.ctl("events", "--json").stdout.splitlines()]

    def changes(kind, subject):
        return [(e["from"], e["to"]) for e in lines()
                if e["kind"] == kind and e["subject"] == subject]

    wait_for("the session is told to be up again",
             lambda: changes("link", "acs").count(("down", "up")) == 2, 30,
             lambda: str(lines()))
    told = changes("task", task)
    assert told[-1] == ("RUNNING", "STOPPED")
    assert all(a[1] == b[0] for a, b in zip(told, told[1:])) and told[0][0] == "NONE"
    containers = changes("container", task)
    assert containers[-1] == ("RUNNING", "STOPPED")
    assert ("stopping", "stopped") in changes("worker", "backend")
    p.terminate()
    followed = [json.loads(l) for l in p.communicate()[0].splitlines()]
    assert [e for e in followed if e["subject"] == task] == [
        e for e in lines() if e["subject"] == task]
    text = agent.ctl("events").stdout
    assert re.search(rf"container +{task} one: CREATED -> RUNNING", text)
