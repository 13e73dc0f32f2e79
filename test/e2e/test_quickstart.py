"""The quickstart, on the test host's dockerd, and the installed tree. Both use the release build."""
import json
import os
import pathlib
import re
import signal
import subprocess

import botocore.session
import pytest
from botocore.validate import ParamValidator

from conftest import ROOT, run, wait_for

QUICKSTART = ROOT / "init" / "quickstart"
EXAMPLES = sorted((ROOT / "init" / "examples").glob("*.json"))


class Quickstart:
    def __init__(self, host):
        self.host = host
        self.dir = host.dir / "quick start"  # with a blank
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{host.socket}",
                            "ECS_QUICKSTART_DIR": str(self.dir)}

    def start(self, *argv, **environment):
        return subprocess.Popen(self.host.enter(QUICKSTART, *argv), text=True, cwd="/",
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, start_new_session=True,
                                env={**self.environment, **environment})

    def run(self, *argv, **environment):
        process = self.start(*argv, **environment)
        text, _ = process.communicate(timeout=600)
        return process.returncode, text

    def left(self):
        """What is there of a run: its folder, its processes, its table of rules."""
        pids = run("ip", "netns", "pids", self.host.name).stdout.split()
        names = [pathlib.Path(f"/proc/{p}/comm").read_text().strip() for p in pids
                 if os.path.exists(f"/proc/{p}/comm")]
        return {"folder": self.dir.exists(), "processes": [n for n in names if n.startswith("ecs")],
                "rules": [t for t in self.host.run("nft", "list", "tables").stdout.splitlines()
                          if "ecs" in t]}


NOTHING = {"folder": False, "processes": [], "rules": []}


@pytest.fixture
def quickstart(host):
    q = Quickstart(host)
    yield q
    q.run("--stop")


def images_and_containers(host):
    return host.docker("images", "-aq", "--no-trunc"), host.docker("ps", "-aq", "--no-trunc")


def test_once_shows_the_page_and_leaves_nothing(host, quickstart):
    """Somebody's image of the same name and somebody's task of the same family stay as they are."""
    host.docker("run", "-d", "--name", "mine", "--label",
                "com.amazonaws.ecs.task-definition-family=hello", "ecs-hello:latest", "sleep", "600")
    before = images_and_containers(host)
    code, text = quickstart.run("--once")
    assert code == 0, text
    assert "Hello from an ECS task on" in text and "ecs-hello-quickstart:latest" in text, text
    metadata = json.loads(re.search(r'^{"Cluster".*}$', text, re.M).group())
    assert metadata["Family"] == "hello" and metadata["KnownStatus"] == "RUNNING"
    assert quickstart.left() == NOTHING
    assert images_and_containers(host) == before
    host.docker("rm", "-f", "mine")


def test_ctrl_c_leaves_nothing(host, quickstart):
    before = images_and_containers(host)
    process = quickstart.start("--once")
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("== task"):
            os.killpg(process.pid, signal.SIGINT)
            break
    seen.append(process.communicate(timeout=120)[0])
    assert process.returncode == 130, "".join(seen)
    assert quickstart.left() == NOTHING
    assert images_and_containers(host) == before


def test_a_taken_port_and_a_second_run_are_explained(host, quickstart):
    listener = subprocess.Popen(
        host.enter("/usr/bin/python3", "-c", "import socket, time\n"
                   "s = socket.create_server(('127.0.0.1', 51678)); time.sleep(600)"))
    try:
        wait_for("the port is taken",
                 lambda: ":51678" in host.run("ss", "-Hltn").stdout)
        first = quickstart.start("--once")
        wait_for("the first run is at work", quickstart.dir.exists)
        code, text = quickstart.run("--once")
        assert code == 1 and "another quickstart is at work" in text, text
        text, _ = first.communicate(timeout=300)
        assert first.returncode == 1, text
        assert "port 51678 is taken" in text and "ECS_INTROSPECTION_PORT=" in text, text
        assert f"pid={listener.pid}" in text, text
    finally:
        listener.kill()
        listener.wait()
    assert quickstart.left() == NOTHING


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_are_task_definitions(path):
    """As botocore's model of ECS has them."""
    model = botocore.session.get_session().get_service_model("ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    report = ParamValidator().validate(json.loads(path.read_text()), shape)
    assert not report.has_errors(), report.generate_report()


# ---- the installed tree ----

def test_the_installed_tree_runs(host):
    """cmake --install below DESTDIR: the supervisor in sbin finds the workers in libexec."""
    root = host.dir / "installed"
    root.mkdir(mode=0o755)
    build = ROOT / "build" / "release"
    run("cmake", "--preset", "release", cwd=ROOT)
    run("cmake", "--build", "--preset", "release", cwd=ROOT)
    run("cmake", "--install", build, env={**os.environ, "DESTDIR": str(root)})
    prefix = root / "usr" / "local"
    names = {str(p.relative_to(prefix)) for p in prefix.rglob("*") if p.is_file()}
    assert {"sbin/ecs-supervisor", "bin/ecsctl", "libexec/ecs-agent/ecs-engine",
            "libexec/ecs-agent/ecs-backend", "libexec/ecs-agent/ecs-metadata",
            "libexec/ecs-agent/ecs-local"} <= names, names
    assert not any(re.search(r"\.(a|h)$", n) for n in names), names
    run_dir = root / "run"
    with open(root / "log", "wb") as log:
        supervisor = subprocess.Popen(
            host.enter(prefix / "sbin" / "ecs-supervisor", "--local"), stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"], "ECS_DATADIR": str(root / "data"),
                 "ECS_RUN_DIR": str(run_dir), "DOCKER_HOST": f"unix://{host.socket}"})
    try:
        def ready():
            r = run(prefix / "bin" / "ecsctl", "--run-dir", run_dir, "status", "--json", check=False)
            return r.returncode == 0 and all(
                w["state"] == "ready" for w in json.loads(r.stdout)["workers"])
        wait_for("the installed agent is ready", ready, 60, (root / "log").read_text)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(60) == 0, (root / "log").read_text()


def test_release_binaries_are_hardened():
    """PIE, full RELRO, no executable stack, fortified calls, stack protector."""
    for program in sorted((ROOT / "build" / "release" / "bin").iterdir()):
        if not program.name.startswith("ecs") or not os.access(program, os.X_OK):
            continue
        elf = run("readelf", "-hlW", program).stdout
        dynamic = run("readelf", "-dW", program).stdout
        symbols = run("readelf", "-W", "--dyn-syms", program).stdout
        assert "Type:" in elf and "DYN" in elf, program
        assert "GNU_RELRO" in elf and "BIND_NOW" in dynamic, program
        assert re.search(r"GNU_STACK.* RW ", elf), program
        if program.name != "ecs-host-rules":  # has no buffer of its own to guard
            assert "__stack_chk_fail" in symbols and "_chk@" in symbols, program
