"""ecsctl why, top, db-check, check and support-bundle: what an operator reaches for."""
import json
import os
import signal
import sqlite3
import tarfile
import time

import pytest

from conftest import BIN, run, wait_for

ECSCTL = BIN / "ecsctl"


@pytest.fixture(scope="module")
def task(agent, tasks):
    tasks.register("watched", {"name": "web", "command": ["sleep", "300"], "environment": [
        {"name": "DB_PASSWORD", "value": "hunter2-very-secret"}]})
    (arn,) = tasks.run("watched")
    tasks.wait("RUNNING", arn)
    yield arn
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_why_says_it_in_a_sentence(agent, tasks, task):
    assert f"task {task.rsplit('/', 1)[1]} is RUNNING, as ECS wants it." in agent.ctl("why", task).stdout
    tasks.register("short", {"name": "one", "command": ["sh", "-c", "exit 127"]})
    (arn,) = tasks.run("short")
    tasks.wait("STOPPED", arn)
    text = agent.ctl("why", arn).stdout
    assert "its essential container one ended with exit code 127 (the command was not found)" in text
    agent.ctl("stop", "backend")
    text = agent.ctl("why", task).stdout
    assert "Note: ECS is not told: the backend worker does not answer" in text
    agent.ctl("start", "backend")
    agent.wait_connected()


class Terminal:
    """tmux, with a server of its own."""

    def __init__(self, folder, width, height, *argv):
        self.socket = folder / "tmux.sock"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height,
                  " ".join(f"'{a}'" for a in argv))

    def tmux(self, *argv, check=True):
        return run("tmux", "-S", self.socket, *argv, check=check).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", check=False).splitlines()


def test_top_is_a_live_view(agent, task):
    """tmux capture: content, resize, a stopped worker, q."""
    view = Terminal(agent.dir, 120, 40, ECSCTL, "--run-dir", agent.run_dir, "top")
    identifier = task.rsplit("/", 1)[1]

    def shows(*texts):
        wait_for(f"the screen shows {texts}", lambda: all(
            any(t in line for line in view.screen()) for t in texts), 30,
            lambda: "\n".join(view.screen()))

    try:
        shows("ecs-agent ", "link connected", "WORKER", "engine", identifier, "web", "q quits")
        engine = next(l for l in view.screen() if l.startswith("engine"))
        assert f" {agent.pid('engine')} " in engine
        assert int(engine.split()[4]) > 1000, "resident size in KiB"
        agent.ctl("stop", "engine")
        shows("engine     stopped")
        agent.ctl("start", "engine")
        shows("engine     ready")
        view.tmux("resize-window", "-x", 50, "-y", 12)
        wait_for("it fits the smaller window", lambda: len(view.screen()) <= 12 and all(
            len(l) <= 50 for l in view.screen()) and "q quits" in view.screen()[-1], 10,
            lambda: "\n".join(view.screen()))
        view.tmux("send-keys", "q")
        wait_for("it has ended", lambda: not view.screen(), 10)
    finally:
        view.tmux("kill-server", check=False)
    text = agent.ctl("top").stdout
    assert "\x1b" not in text and identifier in text
    shown = json.loads(agent.ctl("top", "--json").stdout)
    assert shown["acs"] == "connected" and any(t["arn"] == task for t in shown["tasks"])


def test_db_check_while_the_workers_run(agent, task, tmp_path):
    r = agent.ctl("db-check")
    assert r.stdout.count("ok  ") >= 4 and "engine.db" in r.stdout and "identity.json" in r.stdout
    owners = {p: p.stat().st_uid for p in agent.data.glob("*/*.db*")}
    assert all(p.stat().st_uid == p.parent.stat().st_uid for p in owners)
    # a copy that is damaged is told; the agent need not run
    (tmp_path / "engine").mkdir()
    db = sqlite3.connect(tmp_path / "engine" / "engine.db")
    db.executescript("create table t(a); create index i on t(a);" + "insert into t values(1);" * 500)
    db.commit()
    db.close()
    path = tmp_path / "engine" / "engine.db"
    data = bytearray(path.read_bytes())
    data[-4000:-3000] = b"\xff" * 1000
    path.write_bytes(data)
    r = run(ECSCTL, "--run-dir", tmp_path, "db-check", "--data-dir", tmp_path, check=False)
    assert r.returncode == 1 and "FAIL" in r.stdout and "ecsctl restart" in r.stdout
    r = run(ECSCTL, "--run-dir", tmp_path, "db-check", "--data-dir", tmp_path / "none", check=False)
    assert r.returncode == 1 and "no database" in r.stderr


def checks(result):
    return {c["check"]: c for c in json.loads(result.stdout)}


def test_check_names_the_remedy(agent, host, task, tmp_path):
    r = agent.host.run(ECSCTL, "--run-dir", agent.run_dir, "check", "--json", check=False)
    found = checks(r)
    for name in ("agent", "dns", "imds", "docker", "cgroups"):
        assert found[name]["result"] == "ok" or name == "agent", found[name]
    assert set(found) == {"configuration", "agent", "clock", "dns", "proxy", "imds", "docker",
                          "cgroups", "firewall", "disk"}
    # without an agent; a wrong setting, no Docker, no proxy
    (tmp_path / "ecs.config").write_text("ECS_INSTANCE_ATTRIBUTES=no json\n")
    environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{tmp_path}/none.sock",
                   "HTTPS_PROXY": "http://user:pw@127.0.0.1:9", "AWS_DEFAULT_REGION": "eu-west-1",
                   "ASAN_OPTIONS": "detect_leaks=0"}
    r = host.run(ECSCTL, "--run-dir", tmp_path, "check", "--config", tmp_path / "ecs.config",
                 env=environment, check=False)
    assert r.returncode == 1
    for text in ("fail  configuration", "warn  agent", "fail  docker", "fail  proxy",
                 "-> 'systemctl start docker'", "no agent is running here"):
        assert text in r.stdout, (text, r.stdout)
    assert "pw" not in r.stdout.split("proxy")[1].split("\n")[0]


def bundle(agent, path, **options):
    r = agent.host.run(ECSCTL, "--run-dir", agent.run_dir, "support-bundle", path, **options)
    with tarfile.open(path) as tar:
        return r, {m.name: tar.extractfile(m).read().decode(errors="replace") for m in tar}


def test_support_bundle_has_no_secret_and_works_while_docker_hangs(agent, task, tmp_path):
    path = tmp_path / "bundle.tar.gz"
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "a-secret-of-this-environment"}
    r, parts = bundle(agent, path, env=environment)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert json.loads(parts["docker-version.json"])["ApiVersion"]
    assert "DB_PASSWORD=(removed)" in parts["docker-containers.json"]
    assert task in parts["tasks.json"] and "engine" in parts["status.txt"]
    assert "ok" in parts["db-check.txt"] and "docker" in parts["check.txt"]
    secrets = ["hunter2-very-secret", "a-secret-of-this-environment", *agent.keys(),
               *agent.keys("agent")]
    for name, text in parts.items():
        for secret in secrets:
            assert secret not in text, name
    r = agent.ctl("support-bundle", path, check=False)
    assert r.returncode == 1 and "File exists" in r.stderr
    # Docker hangs: the rest is there, in bounded time
    os.kill(host_docker(agent), signal.SIGSTOP)
    try:
        begin = time.monotonic()
        r, parts = bundle(agent, tmp_path / "hangs.tar.gz")
        assert time.monotonic() - begin < 150
    finally:
        os.kill(host_docker(agent), signal.SIGCONT)
    assert "no answer" in parts["docker-version.json"]
    assert "fail  docker         no answer within 5 s" in parts["check.txt"]
    assert "engine" in parts["status.txt"]


def host_docker(agent):
    return int((agent.host.dir / "dockerd.pid").read_text())
