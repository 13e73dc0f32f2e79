"""The lives of the service's processes: watchdog, orphans, two supervisors, new binaries, systemd,
PID 1, signals while starting. DESIGN 3; H4, H45. An agent for each test, timers scaled."""
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import BIN, run, wait_for

WORKERS = ("engine", "metadata", "backend", "local")


def worker(agent, name):
    return next(w for w in agent.status()["workers"] if w["name"] == name)


def test_a_halted_worker_is_aborted_with_its_backtrace(make):
    """Six missed pongs: SIGABRT; the backtrace stands in the log; the others live on."""
    agent = make(scale=20).start()
    before = {w: agent.pid(w) for w in WORKERS}
    os.kill(before["metadata"], signal.SIGSTOP)
    wait_for("it is replaced", lambda: agent.pid("metadata") not in (0, before["metadata"]), 30,
             agent.logs)
    assert worker(agent, "metadata")["lastExit"] == "signal 6"
    assert {w: agent.pid(w) for w in WORKERS if w != "metadata"} == {
        w: p for w, p in before.items() if w != "metadata"}
    text = agent.log.read_text()
    assert "worker does not answer, aborting it for its backtrace" in text
    assert "output of the worker" in text and "ecs-metadata" in text.split("aborting it")[1]


def test_a_pause_of_the_supervisor_is_not_held_against_workers(make):
    """Its own loop lags: nothing is counted, however long."""
    agent = make(scale=20).start()
    before = {w: agent.pid(w) for w in WORKERS}
    os.kill(agent.process.pid, signal.SIGSTOP)
    time.sleep(4)  # many ping intervals of 250 ms
    os.kill(agent.process.pid, signal.SIGCONT)
    time.sleep(1)
    assert {w: agent.pid(w) for w in WORKERS} == before
    assert "does not answer" not in agent.log.read_text()


@contextlib.contextmanager
def held_by_gdb(pid):
    """Halted so that no signal but the last one reaches it. (SIGSTOP would not do: the kernel
    wakes and hangs up a stopped group that loses its parent.)"""
    gdb = subprocess.Popen(["gdb", "-q", "-batch", "-ex", "shell sleep 60", "-p", str(pid)],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           start_new_session=True)
    try:
        wait_for("gdb has halted it", lambda: "t (tracing stop)" in
                 pathlib.Path(f"/proc/{pid}/status").read_text())
        yield
    finally:
        os.killpg(gdb.pid, signal.SIGKILL)
        gdb.wait()


def test_an_orphan_of_a_killed_supervisor_is_ended(make):
    """It is halted, so it cannot end by itself: the new supervisor kills it before it starts
    another on the same data; also when its own run directory is another one."""
    agent = make().start()
    orphan = agent.pid("engine")
    with held_by_gdb(orphan):
        agent.kill()
        agent.run_dir = agent.dir / "another-run"
        agent.environment["ECS_RUN_DIR"] = str(agent.run_dir)
        agent.start()
    text = agent.log.read_text()
    assert "it did not end, killing it" in text and f"pid={orphan}" in text
    state = run("ps", "-o", "stat=", "-p", orphan, check=False).stdout
    assert state == "" or state.startswith("Z"), state
    # killed before its successor had its first word
    assert text.index("it did not end") < text.rindex("worker is ready")


def test_never_two_agents_on_one_data_directory(make, host):
    """The second names the first and ends with 5; the first notices nothing."""
    first = make().start()
    pids = {w: first.pid(w) for w in WORKERS}
    second = make()
    second.environment["ECS_DATADIR"] = str(first.data)
    second.start(ready=False)
    assert second.process.wait(20) == 5
    text = second.log.read_text()
    assert f"another supervisor (pid {first.process.pid}) uses {first.data}" in text
    assert {w: first.pid(w) for w in WORKERS} == pids


def test_a_new_binary_is_used_when_asked_for(make, host):
    """An upgrade replaces the files under a running service: a restart keeps the old program,
    'restart --new' takes the new one."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bin-", dir=host.dir))
    place.chmod(0o755)
    for name in ("supervisor", *WORKERS):
        os.link(BIN / f"ecs-{name}", place / f"ecs-{name}") if os.stat(BIN).st_dev == \
            os.stat(place).st_dev else shutil.copy2(BIN / f"ecs-{name}", place / f"ecs-{name}")
    agent = make()
    agent.bin = place
    agent.start()

    def inode():
        return os.stat(f"/proc/{agent.pid('metadata')}/exe").st_ino
    old = inode()
    shutil.copy2(place / "ecs-metadata", place / "new")
    os.rename(place / "new", place / "ecs-metadata")
    new = (place / "ecs-metadata").stat().st_ino
    agent.ctl("restart", "metadata")
    assert inode() == old
    agent.ctl("restart", "metadata", "--new")
    assert inode() == new != old


PRETENDER = """
#include <signal.h>
#include <stdlib.h>
int main(void) { return CODE; }
"""


@pytest.mark.parametrize("code", [1, 5, 42])
def test_exit_codes_of_a_worker(make, host, code):
    """H4, H5, H78: 1 is started again from 0.5 s on, 5 ends the service with 5, 42 takes the new
    binary at once. The worker is a program that ends with that code."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bin-", dir=host.dir))
    place.chmod(0o755)
    for name in ("supervisor", *WORKERS):
        shutil.copy2(BIN / f"ecs-{name}", place / f"ecs-{name}")
    source = place / "pretender.c"
    source.write_text(PRETENDER.replace("CODE", str(code)))
    run("cc", "-o", place / "pretender", source)
    os.rename(place / "pretender", place / "ecs-metadata")
    agent = make()
    agent.bin = place
    agent.start(ready=False)
    if code == 5:
        assert agent.process.wait(20) == 5
        assert "exit_code=5" in agent.log.read_text()
        return
    if code == 42:
        wait_for("it has ended once", lambda: agent.status() and
                 worker(agent, "metadata")["restarts"] > 0, 20, agent.logs)
        shutil.copy2(BIN / "ecs-metadata", place / "new")
        os.rename(place / "new", place / "ecs-metadata")
        agent.wait_connected()
        return
    wait_for("it has ended thrice", lambda: agent.status() and
             worker(agent, "metadata")["restarts"] >= 3, 20, agent.logs)
    assert worker(agent, "metadata")["lastExit"] == "exit 1"
    assert agent.process.poll() is None
    assert worker(agent, "backend")["state"] in ("starting", "ready")


def hello(**fields):
    """A Hello by hand: body 5 with protocol 1, build 2, worker 3."""
    data = bytes([8, fields.get("protocol", 1)])
    for number, text in ((2, fields["build"]), (3, fields["worker"])):
        data += bytes([number << 3 | 2, len(text)]) + text.encode()
    message = bytes([0x10, 3, 5 << 3 | 2, len(data)]) + data
    return struct.pack(">I", len(message)) + message


@pytest.mark.parametrize("fields,words", [
    ({"build": "0.0.1-other", "worker": "engine"}, ["0.0.1-other"]),
    ({"build": "0.0.1-other", "worker": "engine", "protocol": 99}, ["protocol 99"]),
])
def test_a_hello_of_another_build_is_refused_naming_both(fields, words):
    """What a worker says to a supervisor of another package."""
    version = run(BIN / "ecs-engine", "--version").stdout.split()[1]
    control, theirs = socket.socketpair()
    log, log_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.sendall(hello(**fields))

    def place():
        for fd, to in ((theirs.fileno(), 103), (log_theirs.fileno(), 104)):
            os.dup2(fd, to)
        os.dup2(103, 3)
        os.dup2(104, 4)
    p = subprocess.Popen([BIN / "ecs-engine"], preexec_fn=place, close_fds=False)
    assert p.wait(20) == 1
    log.settimeout(5)
    text = log.recv(9000).decode()
    assert "restart the service so that both come from one package" in text
    for word in [*words, version if "protocol" not in fields else "this worker 1"]:
        assert word in text


class Notify:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            data = self.socket.recv(4096)
            self.lines += data.decode().splitlines()


def test_systemd_is_told(make, host):
    """READY when the workers answer, STATUS kept current, WATCHDOG twice as often as asked,
    STOPPING at the end."""
    agent = make()
    path = agent.dir / "notify"
    notify = Notify(path)
    agent.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}
    agent.start()
    assert notify.lines.count("READY=1") == 1
    first = notify.lines.index("READY=1")
    assert "STATUS=workers are starting" in notify.lines[:first]
    wait_for("STATUS is running", lambda: [l for l in notify.lines if l.startswith("STATUS=")][-1]
             == "STATUS=running")
    count = notify.lines.count("WATCHDOG=1")
    time.sleep(2)
    assert notify.lines.count("WATCHDOG=1") - count >= 5
    agent.ctl("stop", "metadata")
    wait_for("STATUS has changed",
             lambda: notify.lines[::-1][0:20].count("STATUS=workers are starting"))
    agent.ctl("start", "metadata")
    assert agent.stop() == 0
    wait_for("STOPPING was said", lambda: "STOPPING=1" in notify.lines)
    assert notify.lines.count("READY=1") == 1


def test_as_pid_1_it_reaps_orphans_and_forwards_the_end(make, host):
    """In a container it is PID 1 of its own namespace."""
    agent = make()
    with open(agent.log, "ab") as out:
        outer = subprocess.Popen(
            host.enter("unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                       BIN / "ecs-supervisor", "--local"),
            stdout=out, stderr=out, env=agent.environment, start_new_session=True)
    supervisor = None
    try:
        agent.wait_connected()
        supervisor = int(run("pgrep", "-P", outer.pid).stdout)
        # a child of the new namespace leaves children behind when it ends
        run("nsenter", f"--target={supervisor}", "--pid", "sh", "-c",
            "sh -c 'for i in 1 2 3; do sleep 1 & done' & wait",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, capture_output=False)

        def children():
            return run("ps", "--ppid", supervisor, "-o", "stat=,comm=", check=False).stdout
        wait_for("the orphans are its own", lambda: "sleep" in children(), 5, agent.logs)
        wait_for("none is left", lambda: "sleep" not in children() and "Z" not in children(), 10,
                 children)
        os.kill(supervisor, signal.SIGTERM)
        assert outer.wait(20) == 0
    finally:
        outer.kill()
        outer.wait()


def test_signals_while_starting(make):
    """H45: at any moment of the start the end is clean and leaves nothing; then a start works."""
    agent = make()
    seed = int(os.environ.get("ECS_TEST_SEED", time.time()))
    print("ECS_TEST_SEED", seed)
    moments = random.Random(seed)
    for _ in range(60 if os.environ.get("ECS_TEST_LONG") == "1" else 6):
        agent.start(ready=False)
        time.sleep(moments.uniform(0, 0.25))
        began = time.monotonic()
        # before the handlers stand nothing is there to be cleaned up
        assert agent.stop() in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 8
        if agent.run_dir.exists():
            assert list(agent.run_dir.iterdir()) == []
        assert "ecs_agent" not in agent.host.run("nft", "list", "tables").stdout
    agent.start()
    text = agent.log.read_text()
    assert "ending it hard" not in text and "stop deadline passed" not in text
    assert "damaged" not in text


def test_the_backend_stops_before_the_others(make):
    """Nothing new comes in while the others finish."""
    agent = make().start()
    run_dir = agent.run_dir
    os.kill(agent.pid("backend"), signal.SIGSTOP)
    agent.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    states = {w["name"]: w["state"] for w in agent.status()["workers"]}
    assert states.pop("backend") == "stopping"
    assert set(states.values()) == {"ready"}
    assert agent.process.wait(15) == 5  # the backend had to be killed: no clean stop
    assert list(run_dir.iterdir()) == []
