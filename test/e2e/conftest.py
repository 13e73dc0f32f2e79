"""The test host: a network namespace of its own with a real dockerd, and the agent in it.

One host a session, one agent a module. Every process is ended by pid. Nothing touches the
machine's own network, firewall or Docker.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ECS_TEST_BIN", ROOT / "build" / "asan" / "bin"))
LONG = os.environ.get("ECS_TEST_LONG") == "1"
APPLETS = "sh ls cat sleep httpd wget echo env true false kill".split()


def run(*argv, check=True, **options):
    r = subprocess.run([str(a) for a in argv],
                       **{"capture_output": True, "text": True, **options})
    if check and r.returncode != 0:
        raise AssertionError(f"{argv} failed with {r.returncode}:\n{r.stdout}\n{r.stderr}")
    return r


def wait_for(what, condition, seconds=30, on_failure=lambda: ""):
    """Waits until condition() gives something true; prints on_failure() when it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}\n{on_failure()}")


class Host:
    """Network namespace, dockerd, images."""

    def __init__(self):
        self.name = f"ecs-test-{uuid.uuid4().hex[:8]}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=self.name + "-"))
        self.dir.chmod(0o755)
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        self.socket = self.dir / "docker.sock"
        self.dockerd = None
        self.start_docker()
        self.make_image()

    def enter(self, *argv):
        return ["nsenter", f"--net=/run/netns/{self.name}", *[str(a) for a in argv]]

    def run(self, *argv, **options):
        return run(*self.enter(*argv), **options)

    def docker(self, *argv, check=True):
        return run("docker", "-H", f"unix://{self.socket}", *argv, check=check).stdout.strip()

    def start_docker(self):
        config = self.dir / "daemon.json"
        config.write_text("{}")
        self.log = open(self.dir / "dockerd.log", "ab")
        self.dockerd = subprocess.Popen(
            self.enter("dockerd", "--config-file", config, "--data-root", self.dir / "docker",
                       "--exec-root", self.dir / "exec", "-H", f"unix://{self.socket}",
                       "--pidfile", self.dir / "dockerd.pid"),
            stdout=self.log, stderr=self.log, start_new_session=True)
        wait_for("dockerd answers",
                 lambda: run("docker", "-H", f"unix://{self.socket}", "version",
                             check=False).returncode == 0, 60,
                 lambda: (self.dir / "dockerd.log").read_text()[-4000:])

    def stop_docker(self):
        if self.dockerd.poll() is None:
            self.dockerd.send_signal(signal.SIGTERM)
            try:
                self.dockerd.wait(30)
            except subprocess.TimeoutExpired:
                self.dockerd.kill()
                self.dockerd.wait()

    def make_image(self):
        root = self.dir / "image"
        (root / "bin").mkdir(parents=True)
        (root / "www").mkdir()
        (root / "tmp").mkdir()
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        for a in APPLETS:
            (root / "bin" / a).symlink_to("busybox")
        (root / "www" / "index.html").write_text("hello from a task\n")
        tar = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True)
        subprocess.run(["docker", "-H", f"unix://{self.socket}", "import", "-", "ecs-hello:latest"],
                       input=tar.stdout, capture_output=True, check=True)

    def close(self):
        ids = self.docker("ps", "-aq", check=False).split()
        if ids:
            self.docker("rm", "-f", *ids, check=False)
        self.stop_docker()
        self.log.close()
        run("ip", "netns", "del", self.name, check=False)
        run("umount", "-R", self.dir / "docker", check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Agent:
    """ecs-supervisor --local with directories of its own."""

    def __init__(self, host, scale=1, **settings):
        self.host = host
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="agent-", dir=host.dir))
        self.dir.chmod(0o755)
        self.data, self.run_dir = self.dir / "data", self.dir / "run"
        self.log = self.dir / "agent.log"
        self.scale = scale
        self.bin = BIN
        self.environment = {
            "PATH": os.environ["PATH"], "ECS_DATADIR": str(self.data),
            "ECS_RUN_DIR": str(self.run_dir), "DOCKER_HOST": f"unix://{host.socket}",
            "ECS_LOGLEVEL": "debug", "ECS_AUDIT_LOGFILE": str(self.dir / "audit.log"),
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", **settings}
        self.process = None

    def start(self, ready=True):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.host.enter(self.bin / "ecs-supervisor", "--local", "--time-scale", self.scale),
                stdout=out, stderr=out, env=self.environment, start_new_session=True)
        if ready:
            self.wait_connected()
        return self

    def wait_connected(self, seconds=30):
        def connected():
            s = self.status()
            return s and s.get("link", {}).get("acs") == "connected" and all(
                w["state"] == "ready" for w in s["workers"])
        wait_for("the agent is connected", connected, seconds, self.logs)

    def logs(self):
        return self.log.read_text()[-12000:] if self.log.exists() else ""

    def ctl(self, *argv, check=True):
        return run(BIN / "ecsctl", "--run-dir", self.run_dir, *argv, check=check)

    def status(self):
        r = self.ctl("status", "--json", check=False)
        return json.loads(r.stdout) if r.returncode == 0 else None

    def pid(self, worker):
        for w in self.status()["workers"]:
            if w["name"] == worker:
                return w["pid"]
        raise AssertionError(f"no worker {worker}")

    def fault(self, kind, on="*", **settings):
        """Switches a fault of the local control plane on, or has it act once."""
        words = [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in settings.items()]
        return json.loads(self.ctl("--json", "local", "fault", kind, on, *words).stdout)

    def record(self, kind=None, operation=None, after=0):
        """What agents and the control plane sent each other, oldest first."""
        entries = json.loads(self.ctl("--json", "local", "record", after).stdout)
        return [e for e in entries if kind in (None, e["kind"]) and
                operation in (None, e["operation"])]

    def stop(self):
        """Ends the agent in order; its exit code."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def check_log(self):
        """No report of a sanitizer."""
        text = self.log.read_text()
        report = re.search("AddressSanitizer|runtime error", text)
        assert report is None, text[max(0, report.start() - 3000):][:8000]

    def end(self):
        """The end of a test module: in order, with nothing to report."""
        code = self.stop()
        self.check_log()
        assert code in (0, None), f"exit code {code}\n{self.logs()}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def keys(self, profile="default"):
        lines = (self.data / "local" / "credentials").read_text()
        part = lines.split(f"[{profile}]")[1]
        values = dict(l.split(" = ") for l in part.strip().splitlines()[:2])
        return values["aws_access_key_id"], values["aws_secret_access_key"]

    def aws(self, *argv, check=True):
        """The aws CLI against the local control plane; parsed JSON."""
        environment = {"PATH": os.environ["PATH"], "AWS_PAGER": "",
                       "AWS_SHARED_CREDENTIALS_FILE": str(self.data / "local" / "credentials"),
                       "AWS_DEFAULT_REGION": "us-east-1", "HOME": "/nonexistent"}
        r = self.host.run("aws", "--endpoint-url", "http://127.0.0.1:51670", "ecs", *argv,
                          env=environment, check=check)
        return json.loads(r.stdout) if r.returncode == 0 and r.stdout.strip() else r


class Tasks:
    """Registers, runs, waits, in an agent."""

    def __init__(self, agent):
        self.agent = agent

    def register(self, family, *containers, **more):
        definition = {"family": family, "containerDefinitions": [
            {"image": "ecs-hello:latest", "cpu": 10, "memory": 16, "essential": True,
             "stopTimeout": 2, **c} for c in containers], **more}
        path = self.agent.dir / f"{family}.json"
        path.write_text(json.dumps(definition))
        return self.agent.aws("register-task-definition", "--cli-input-json",
                              f"file://{path}")["taskDefinition"]["taskDefinitionArn"]

    def run(self, family, *argv, count=1):
        r = self.agent.aws("run-task", "--task-definition", family, "--count", count, *argv)
        assert r["failures"] == [], r
        return [t["taskArn"] for t in r["tasks"]]

    def describe(self, *arns):
        return self.agent.aws("describe-tasks", "--tasks", *arns)["tasks"]

    def wait(self, status, *arns, seconds=60):
        def reached():
            tasks = self.describe(*arns)
            return tasks if all(t["lastStatus"] == status for t in tasks) else None
        return wait_for(f"{len(arns)} tasks are {status}", reached, seconds,
                        lambda: self.agent.logs() + json.dumps(self.describe(*arns), indent=1))

    def container_ids(self, arn):
        return self.agent.host.docker("ps", "-aq", "--no-trunc", "--filter",
                                      f"label=com.amazonaws.ecs.task-arn={arn}").split()


@pytest.fixture(scope="session")
def host():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and a dockerd")
    h = Host()
    yield h
    h.close()


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host).start()
    yield a
    a.end()


@pytest.fixture
def make(host):
    """Agents of one test, made with their settings; stopped, or killed, at its end."""
    made = []

    def new(**settings):
        made.append(Agent(host, **settings))
        return made[-1]
    yield new
    for a in made:
        a.stop()


@pytest.fixture(scope="module")
def tasks(agent):
    return Tasks(agent)


@pytest.fixture
def boto(agent):
    """A boto3 client that validates what it gets; tests run it in a helper process, since the
    control plane listens inside the namespace."""
    return lambda code: agent.host.run(
        "/usr/bin/python3", "-c",
        "import boto3, json, sys\n"
        "c = boto3.client('ecs', endpoint_url='http://127.0.0.1:51670', region_name='us-east-1',\n"
        f"    aws_access_key_id='{agent.keys()[0]}', aws_secret_access_key='{agent.keys()[1]}')\n"
        + code).stdout
