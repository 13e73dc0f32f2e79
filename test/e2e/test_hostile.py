"""A host that turns hostile: each case gives one clear message and the state the design names, and
neither the identity nor a running container is lost. DESIGN 3 and 5."""
import contextlib
import hashlib
import json
import os
import pathlib
import select
import socket
import socketserver
import subprocess
import threading
import time

import pytest

from conftest import BIN, Tasks, run, wait_for


@contextlib.contextmanager
def mounted(path, *options):
    path.mkdir(exist_ok=True)
    run("mount", *options, path)
    try:
        yield path
    finally:
        run("umount", "-l", path)


def instances(agent):
    return agent.aws("list-container-instances")["containerInstanceArns"]


def worker(agent, name):
    return next(w for w in agent.status()["workers"] if w["name"] == name)


def started(agent, family="kept"):
    """A task that runs, and the ids of its containers."""
    tasks = Tasks(agent)
    tasks.register(family, {"name": "one", "command": ["sleep", "600"]})
    (arn,) = tasks.run(family)
    tasks.wait("RUNNING", arn)
    return tasks, arn, tasks.container_ids(arn)


def ended(tasks, arn):
    tasks.agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def times_said(agent, text):
    return agent.log.read_text().count(text)


# ---- damaged files ----

DAMAGED = [("engine/engine.db",), ("backend/backend.db",),
           ("engine/engine.db", "backend/backend.db")]


@pytest.mark.parametrize("names", DAMAGED, ids="+".join)
def test_damaged_state(make, names):
    """What was damaged is put aside and named; identity and container stay."""
    agent = make().start()
    _, arn, ids = started(agent)
    instance = instances(agent)
    assert agent.stop() == 0
    for name in names:
        path = agent.data / name
        assert path.exists(), sorted(agent.data.rglob("*"))
        path.write_bytes(b"this is neither a database nor JSON" * 100)
        for tail in ("-wal", "-shm"):
            path.with_name(path.name + tail).unlink(missing_ok=True)
    agent.start()
    state = {c: agent.host.docker("inspect", "-f", "{{.State.Running}}", c) for c in ids}
    assert set(state.values()) == {"true"}
    assert instances(agent) == instance
    for name in names:
        path = agent.data / name
        if name.endswith(".db"):
            assert list(path.parent.glob(path.name + ".damaged-*")), name
            assert times_said(agent, f"moved aside, starting with an empty one\" file={path}") == 1
    agent.host.docker("rm", "-f", *ids)


def test_either_copy_of_the_identity_restores_the_other(make):
    """DESIGN 5: it stands in backend.db and identity.json. Damaged, lost, or differing, one at a
    time: the same instance, one message that names what happened, and both copies whole again."""
    agent = make().start()
    instance = instances(agent)
    folder = agent.data / "backend"

    def stored():
        kept = json.loads((folder / "identity.json").read_text())
        del kept["registrationToken"]  # of one process's registration
        return kept
    whole, same = (folder / "identity.json").read_text(), stored()
    other = whole.replace(instance[0].rsplit("/", 1)[1], "f" * 32)
    assert other != whole
    cases = [
        (lambda: (folder / "identity.json").write_text(whole[:40]),
         "identity.json is damaged or missing: restored from backend.db"),
        (lambda: (folder / "identity.json").write_text("{}"),
         "it does not name a container instance"),
        (lambda: (folder / "identity.json").unlink(), "there is no such file"),
        (lambda: [p.unlink() for p in folder.glob("backend.db*")],
         "backend.db lost the identity of this instance: restored from identity.json"),
        (lambda: (folder / "identity.json").write_text(other),
         "identity.json and backend.db disagree who this instance is"),
    ]
    for damage, message in cases:
        assert agent.stop() == 0
        damage()
        said = times_said(agent, message)
        agent.start()
        assert instances(agent) == instance, message
        assert times_said(agent, message) == said + 1, message
        assert stored() == same, message


def test_state_of_the_official_agent_is_left_alone(make):
    """Reported once, not read, not touched."""
    agent = make()
    agent.data.mkdir()
    theirs = agent.data / "agent.db"
    theirs.write_bytes(os.urandom(4096))
    before = theirs.stat(), hashlib.sha256(theirs.read_bytes()).digest()
    agent.start()
    assert agent.stop() == 0
    after = theirs.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before[0].st_mtime_ns, before[0].st_ino)
    assert hashlib.sha256(theirs.read_bytes()).digest() == before[1]
    assert times_said(agent, "is the official agent's state: it is left untouched") == 1


def test_beside_the_official_agent_it_does_not_start(make, host):
    """Exit 5, which systemd does not repeat; what to do is said. In a process namespace of its
    own, so that other agents of this machine do not meet the pretender."""
    agent = make()
    agent.environment["AGENT"] = str(BIN / "ecs-supervisor")
    r = subprocess.run(
        host.enter("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c",
                   'ECS_DATADIR=/data bash -c "exec -a /agent sleep 60" & sleep 0.5; '
                   '"$AGENT" --local; exit $?'),
        env=agent.environment, capture_output=True, text=True, timeout=60)
    assert r.returncode == 5, r.stderr
    assert "the official ECS agent runs on this host" in r.stderr
    assert "systemctl disable --now ecs" in r.stderr
    assert not agent.run_dir.exists()


# ---- the data directory ----

def test_a_read_only_data_directory_is_named(make):
    agent = make()
    agent.data.mkdir()
    with mounted(agent.data, "-t", "tmpfs", "-o", "ro", "none"):
        agent.start(ready=False)
        assert agent.process.wait(20) == 1
    text = agent.log.read_text()
    assert str(agent.data) in text and "Read-only file system" in text
    assert "AddressSanitizer" not in text


def test_a_full_data_directory(make):
    """Running: nothing acknowledged is lost, a worker says what is wrong; once there is room again
    all goes on with the same identity and container."""
    agent = make()
    with mounted(agent.data, "-t", "tmpfs", "-o", "size=16m,mode=755", "none"):
        agent.start()
        tasks, arn, ids = started(agent)
        instance = instances(agent)
        filler = agent.data / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
            while True:
                f.write(b"\0" * 4096)
        r = agent.aws("run-task", "--task-definition", "kept", check=False)
        accepted = [t["taskArn"] for t in r["tasks"]] if isinstance(r, dict) else []
        wait_for("somebody says so", lambda: any(
            w in agent.log.read_text() for w in ("cannot be stored", "check the disk")), 20,
            agent.logs)
        assert "no transaction is active" not in agent.log.read_text()
        assert tasks.container_ids(arn) == ids
        filler.unlink()
        agent.wait_connected(60)
        if accepted:
            tasks.wait("RUNNING", *accepted)
        assert instances(agent) == instance
        assert tasks.container_ids(arn) == ids
        for a in [arn, *accepted]:
            ended(tasks, a)
        assert agent.stop() == 0


# ---- the log disk ----

def test_a_full_log_disk(make):
    """One notice, in the status too; the agent works; once there is room the lost lines are told
    as a number."""
    agent = make()
    logs = agent.dir / "logs"
    with mounted(logs, "-t", "tmpfs", "-o", "size=64k", "none"):
        filler = logs / "filler"
        filler.write_bytes(b"\0" * 65536)
        agent.environment |= {"ECS_LOGFILE": str(logs / "agent.log")}
        agent.start()
        (notice,) = [n for n in agent.status()["notices"] if "log file" in n]
        assert "No space left on device" in notice
        tasks = Tasks(agent)
        tasks.register("short", {"name": "one", "command": ["true"]})
        tasks.wait("STOPPED", *tasks.run("short"))
        assert times_said(agent, "No space left on device") == 1
        filler.unlink()
        tasks.wait("STOPPED", *tasks.run("short"))
        wait_for("lines are written again", lambda: (logs / "agent.log").stat().st_size > 0)
        assert "dropped=" in (logs / "agent.log").read_text()
        assert not [n for n in agent.status()["notices"] if "log file" in n]
        assert agent.stop() == 0


def test_a_frozen_log_disk(make):
    """ext4 on a loop device, frozen: every write to it hangs, the agent does not."""
    agent = make()
    image, logs = agent.dir / "disk", agent.dir / "logs"
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    run("mkfs.ext4", "-q", image)
    with mounted(logs, "-o", "loop", image):
        agent.environment |= {"ECS_LOGFILE": str(logs / "agent.log")}
        agent.start()
        run("fsfreeze", "-f", logs)
        try:
            tasks, arn, _ = started(agent)
            ended(tasks, arn)
            wait_for("the status says so", lambda: [
                n for n in agent.status()["notices"] if "is the disk frozen?" in n], 20)
            assert all(w["state"] == "ready" for w in agent.status()["workers"])
        finally:
            run("fsfreeze", "-u", logs)
        wait_for("the notice is over", lambda: not [
            n for n in agent.status()["notices"] if "frozen" in n])
        assert agent.stop() == 0
        assert "task accepted" in (logs / "agent.log").read_text()


def test_a_log_that_hangs_does_not_hang_the_end(make):
    """A pipe nobody reads: the open itself never returns. The stop is in time and in order."""
    agent = make()
    pipe = agent.dir / "pipe"
    os.mkfifo(pipe)
    agent.environment |= {"ECS_LOGFILE": str(pipe)}
    agent.start()
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 10
    assert list(agent.run_dir.iterdir()) == []
    assert "ecs_agent" not in agent.host.run("nft", "list", "tables").stdout


# ---- what the agent needs from others ----

HOLD = """
import socket, sys
s = [socket.socket() for p in sys.argv[1:]]
for x, p in zip(s, sys.argv[1:]):
    x.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    x.bind(('127.0.0.1', int(p)))
    x.listen()
print('held', flush=True)
sys.stdin.read()
"""


def test_ports_taken(make, host):
    """51678 and 51679: one notice each; everything else runs; once they are free they are served
    without anybody's help."""
    holder = subprocess.Popen(host.enter("/usr/bin/python3", "-c", HOLD, 51678, 51679),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    agent = make(scale=10)
    try:
        agent.start()
        for port in ("51678", "51679"):
            (notice,) = [n for n in agent.status()["notices"] if port in n]
            assert "Address already in use" in notice and "does another agent run?" in notice
            assert times_said(agent, f"cannot listen on port {port}") == 1
        tasks, arn, ids = started(agent)
    finally:
        holder.communicate("")

    def served():
        return [host.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                         f"http://127.0.0.1:{p}/v1/metadata", check=False).stdout != "000"
                for p in (51678, 51679)] == [True, True]
    wait_for("both are served", served, 30, agent.logs)
    agent.wait_connected()
    assert not [n for n in agent.status()["notices"] if "cannot listen" in n]
    assert tasks.container_ids(arn) == ids
    ended(tasks, arn)


def test_no_docker_socket(make, host):
    """The agent is up, says it is degraded and why, and comes to itself when Docker does. The
    socket's group was not known when the engine started."""
    agent = make()
    link = agent.dir / "docker.sock"
    agent.environment["DOCKER_HOST"] = f"unix://{link}"
    agent.start(ready=False)
    wait_for("the engine says so", lambda: agent.status() and worker(agent, "engine")["degraded"],
             20, agent.logs)
    assert "docker unreachable" in worker(agent, "engine")["text"]
    assert times_said(agent, "docker unreachable") <= 2
    link.symlink_to(host.socket)
    agent.wait_connected(60)
    tasks, arn, _ = started(agent)
    ended(tasks, arn)


class Forward(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Docker's socket under another group: a socket whose connections go to it."""
    daemon_threads = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as docker:
                docker.connect(str(self.server.target))
                ends = {self.request: docker, docker: self.request}
                while True:
                    for s in select.select(list(ends), [], [])[0]:
                        data = s.recv(65536)
                        if not data:
                            return
                        ends[s].sendall(data)

    def __init__(self, path, target, gid):
        super().__init__(str(path), self.Handler)
        self.target = target
        os.chown(path, 0, gid)
        os.chmod(path, 0o660)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def groups_of(agent, name):
    status = pathlib.Path(f"/proc/{agent.pid(name)}/status").read_text()
    (groups,) = [l.split()[1:] for l in status.splitlines() if l.startswith("Groups:")]
    return groups


def test_docker_socket_of_another_group(make, host):
    """A group is joined by number, whether it has a name or not."""
    agent = make()
    path = agent.dir / "relay.sock"
    listener = Forward(path, host.socket, 61300)
    agent.environment["DOCKER_HOST"] = f"unix://{path}"
    try:
        agent.start()
        assert "61300" in groups_of(agent, "engine") and "0" not in groups_of(agent, "engine")
        tasks, arn, _ = started(agent)
        ended(tasks, arn)
    finally:
        agent.stop()
        listener.close()


def test_docker_socket_of_group_root(make, host):
    """The group of root is never joined: the supervisor passes connected sockets. Tasks run, events
    arrive, streams open, and all of it again after a restart of Docker."""
    before = host.socket.stat()
    os.chown(host.socket, 0, 0)
    os.chmod(host.socket, 0o660)
    agent = make()
    try:
        agent.start()
        assert "0" not in groups_of(agent, "engine")
        tasks = Tasks(agent)
        tasks.register("short", {"name": "one", "command": ["sh", "-c", "echo said; exit 7"]})
        for restart in (False, True):
            if restart:
                host.stop_docker()
                wait_for("the engine notices", lambda: worker(agent, "engine")["state"]
                         != "ready" or worker(agent, "engine")["text"], 30, agent.logs)
                host.start_docker()
                os.chown(host.socket, 0, 0)
                os.chmod(host.socket, 0o660)
                wait_for("docker is back", lambda: not worker(agent, "engine")["text"], 30,
                         agent.logs)
            arns = tasks.run("short", count=5)
            tasks.wait("STOPPED", *arns)
            for t in tasks.describe(*arns):
                assert t["containers"][0]["exitCode"] == 7
            assert "said" in agent.ctl("logs", arns[0]).stdout
    finally:
        agent.stop()
        os.chown(host.socket, before.st_uid, before.st_gid)
        os.chmod(host.socket, before.st_mode & 0o777)


def test_the_backend_unreachable(make):
    """The control plane goes away: the status says what fails, containers run on, and afterwards
    it is the same instance."""
    agent = make(scale=10).start()
    tasks, arn, ids = started(agent)
    instance = instances(agent)
    agent.ctl("stop", "local")
    wait_for("the status says so", lambda: agent.status()["link"]["acs"] != "connected", 20,
             agent.logs)
    wait_for("and why", lambda: agent.status()["link"]["lastError"], 20, agent.logs)
    assert tasks.container_ids(arn) == ids
    assert worker(agent, "engine")["state"] == "ready"
    agent.ctl("start", "local")
    agent.wait_connected(60)
    assert instances(agent) == instance
    assert tasks.describe(arn)[0]["lastStatus"] == "RUNNING"
    ended(tasks, arn)
