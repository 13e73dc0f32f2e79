"""Settings as an operator meets them: flags, files, environment, JSON file, user data, exit codes,
'ecsctl config'. Most need no Docker and no control plane: an agent that finds neither still has
its settings."""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import uuid

import pytest

import conftest
from conftest import Agent, run, wait_for
from test_backend_remote import Imds, in_namespace

USER_DATA = "/latest/user-data"
DOCUMENT = "/latest/dynamic/instance-identity/document"


class Place:
    """A network namespace, and an /etc and a /var/lib of its own for what runs in it."""

    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("needs root: namespaces")
        self.name = f"ecs-test-{uuid.uuid4().hex[:8]}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=self.name + "-"))
        self.dir.chmod(0o755)
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        shutil.copytree("/etc", self.dir / "etc", symlinks=True, ignore_dangling_symlinks=True,
                        ignore=shutil.ignore_patterns("ecs"))
        (self.dir / "etc" / "ecs").mkdir()
        (self.dir / "lib" / "ecs").mkdir(parents=True)
        self.etc, self.lib = self.dir / "etc" / "ecs", self.dir / "lib" / "ecs"

    def enter(self, *argv):
        script = (f"mount --bind {self.dir}/etc /etc && mount --bind {self.dir}/lib /var/lib && "
                  'exec "$@"')
        return ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "-m", "sh", "-c", script,
                "sh", *[str(a) for a in argv]]

    def close(self):
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Service:
    """ecs-supervisor in a place, far from any control plane."""

    def __init__(self, place, *argv, **settings):
        self.place, self.argv = place, argv
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="agent-", dir=place.dir))
        self.dir.chmod(0o755)
        self.run_dir, self.data, self.log = self.dir / "run", self.dir / "data", self.dir / "log"
        self.environment = {
            "PATH": os.environ["PATH"], "ECS_DATADIR": str(self.data),
            "ECS_RUN_DIR": str(self.run_dir), "ECS_BACKEND_HOST": "http://127.0.0.1:9",
            "DOCKER_HOST": f"unix://{self.dir}/none.sock", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "ECS_AUDIT_LOGFILE": str(self.dir / "audit.log"),
            "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-instance", **settings}
        self.process = None

    def spawn(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.place.enter(conftest.BIN / "ecs-supervisor", *self.argv), stdout=out,
                stderr=out, env=self.environment, start_new_session=True)
        return self

    def start(self):
        self.spawn()
        wait_for("ecsctl is answered", lambda: self.process.poll() is not None or
                 self.ctl("status", check=False).returncode == 0, 30, self.text)
        assert self.process.poll() is None, self.text()
        return self

    def text(self):
        return self.log.read_text()

    def ctl(self, *argv, check=True):
        return run(conftest.BIN / "ecsctl", "--run-dir", self.run_dir, *argv, check=check)

    def config(self):
        return {s["name"]: s for s in json.loads(self.ctl("--json", "config").stdout)}

    def notices(self):
        return json.loads(self.ctl("--json", "status").stdout)["notices"]

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert "AddressSanitizer" not in self.text(), self.text()
        return code

    def end(self):
        """Runs to its own end; the exit code."""
        self.spawn()
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def place():
    p = Place()
    yield p
    p.close()


@pytest.fixture(autouse=True)
def clean(request):
    yield
    if "place" in request.fixturenames:
        p = request.getfixturevalue("place")
        for f in [*p.etc.iterdir(), *p.lib.iterdir()]:
            shutil.rmtree(f) if f.is_dir() else f.unlink()


@pytest.fixture
def service(place):
    made = []

    def make(*argv, **settings):
        made.append(Service(place, *argv, **settings))
        return made[-1]
    yield make
    for s in made:
        s.stop()


@pytest.fixture
def imds(place):
    made = []

    def make(**pages):
        made.append(Imds(place.name, {DOCUMENT: json.dumps({"region": "eu-north-1"}), **pages}))
        return made[-1]
    yield make
    for i in made:
        i.close()
        run("ip", "-n", place.name, "address", "del", "169.254.169.254/32", "dev", "lo")


def supervisor(*argv, **environment):
    return subprocess.run([str(conftest.BIN / "ecs-supervisor"), *argv], capture_output=True,
                          text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "ECS_CONFIG_FILE": "/dev/null",
                               **environment})


# ---- flags ----

def test_version_and_licence():
    """H41: three lines, one more for a changed tree; the licence; in the official order."""
    r = supervisor("-version")
    lines = r.stdout.splitlines()
    assert r.returncode == 0 and lines[0] == "Amazon ECS Agent:", r.stdout
    assert lines[1].startswith("\tVersion: ") and lines[2].startswith("\tCommit: ")
    assert lines[3:] in ([], ["\tDirty: true"])
    assert supervisor("--version=T").stdout == r.stdout
    licence = supervisor("-version", "-license")
    assert licence.returncode == 0 and "Apache License" in licence.stdout


@pytest.mark.parametrize("argv", [["-no-such-flag"], ["--versio"], ["-version=maybe"],
                                  ["-loglevel"], ["-loglevel", "loud"], ["-time-scale=0"], ["-h"]])
def test_wrong_flags(argv):
    """H41: 5, and the reason with where to find help."""
    r = supervisor(*argv)
    assert r.returncode == 5 and r.stdout == ""
    assert "--help" in r.stderr or "usage:" in r.stderr


def test_help_and_windows():
    r = supervisor("--help")
    assert r.returncode == 0 and r.stderr == ""
    for flag in ("-local", "-healthcheck", "-ecs-attributes", "-blackhole-ec2-metadata"):
        assert f"    {flag}\n" in r.stdout
    assert supervisor("-windows-service").returncode == 1


def test_healthcheck(place):
    """H42: 0 for any answer, even an error; 1 for none; the host can be another."""
    def listen():
        return socket.create_server(("127.0.0.2", 51678))

    def answer(listener):
        client, _ = listener.accept()
        with client:
            asked.append(client.recv(4096).decode())
            client.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    def check(**environment):
        return subprocess.run(place.enter(conftest.BIN / "ecs-supervisor", "-healthcheck"),
                              capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], **environment})
    asked = []
    with in_namespace(place.name, listen) as listener:
        t = threading.Thread(target=answer, args=(listener,))
        t.start()
        (place.etc / "ecs.config").write_text("ECS_AGENT_HEALTHCHECK_HOST=127.0.0.2\n")
        assert check().returncode == 0
        t.join()
    assert asked[0].startswith("HEAD /v1/metadata HTTP/1.1\r\nHost: 127.0.0.2\r\n")
    down = check(ECS_AGENT_HEALTHCHECK_HOST="127.0.0.1")
    assert down.returncode == 1 and "no answer from 127.0.0.1" in down.stderr


def test_attributes_and_what_is_registered(host):
    """H43: name, tab, value, and the same that a registration offers. H25: a word that is no
    boolean is told and the default stays. H32: reserved ports replace the default list."""
    lines = pathlib.Path(host.dir / "settings")
    lines.write_text("ECS_DISABLE_PRIVILEGED=yes\nECS_SELINUX_CAPABLE=1\nECS_RESERVED_PORTS=[7]\n"
                     "ECS_CLUSTER=\"a=b\"\nECS_CLUSTER=default\n"
                     "ECS_INSTANCE_ATTRIBUTES={\"rack\":\"seven\"}\n")
    r = host.run(conftest.BIN / "ecs-supervisor", "-ecs-attributes", "-config", lines,
                 env={"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{host.socket}"})
    printed = dict(line.split("\t") for line in r.stdout.splitlines())
    assert "com.amazonaws.ecs.capability.privileged-container" in printed
    agent = Agent(host, ECS_CONFIG_FILE=str(lines)).start()
    try:
        (arn,) = agent.aws("list-container-instances")["containerInstanceArns"]
        (instance,) = agent.aws("describe-container-instances", "--container-instances",
                                arn)["containerInstances"]
        attributes = {a["name"]: a.get("value", "") for a in instance["attributes"]}
        capabilities = {n: v for n, v in attributes.items() if ".capability." in n}
        assert printed == capabilities
        assert "com.amazonaws.ecs.capability.selinux" in printed
        assert attributes["rack"] == "seven"
        (ports,) = [x["stringSetValue"] for x in instance["registeredResources"]
                    if x["name"] == "PORTS"]
        assert ports == ["7"]
        assert any(n.startswith("ECS_DISABLE_PRIVILEGED=yes is neither true nor false")
                   for n in agent.status()["notices"])
        assert supervisor("-healthcheck").returncode in (0, 1)
        assert host.run(conftest.BIN / "ecs-supervisor", "-healthcheck",
                        env={"PATH": os.environ["PATH"]}).returncode == 0
    finally:
        assert agent.stop() == 0


def test_log_level_flag(service):
    """H40: the flag goes before the variable, for both outputs."""
    s = service("-loglevel=error", "-loglevel-driver=debug", AWS_DEFAULT_REGION="eu-west-1",
                ECS_LOGLEVEL="debug", ECS_LOGLEVEL_ON_INSTANCE="debug").start()
    config = s.config()
    for name in ("ECS_LOGLEVEL", "ECS_LOGLEVEL_ON_INSTANCE"):
        assert (config[name]["value"], config[name]["origin"]) == ("error", "flag")
    assert s.stop() == 0
    assert "level=info" not in s.text() and "level=debug" not in s.text()


# ---- sources ----

def test_every_layer(place, service, imds):
    """H19, H20, H21, H24, H81: each setting from the highest layer that has it; the region from the
    identity document; a cloud-init result that cannot be read is no reason to stop."""
    fake = imds(**{USER_DATA: json.dumps({"ECSAgentConfiguration": {
        "Cluster": "user data", "ReservedMemory": 5, "DockerStopTimeout": 5_000_000_000,
        "ContainerStartTimeout": 50_000_000_000, "SELinuxCapable": True,
        "InstanceAttributes": {"from": "user data"}, "Nonsense": 1}})})
    (place.etc / "ecs.config.json").write_text(json.dumps({
        "cluster": "json", "reservedmemory": 4, "DockerStopTimeout": 4_000_000_000,
        "ContainerStartTimeout": 49_000_000_000}))
    (place.lib / "ecs.config").write_text(
        "ECS_CLUSTER=lib\nECS_RESERVED_MEMORY=3\nECS_CONTAINER_STOP_TIMEOUT=3s\n")
    (place.etc / "ecs.config").write_text(
        " ECS_CLUSTER=etc \nECS_RESERVED_MEMORY=1\n#ECS_RESERVED_MEMORY=9\nECS_RESERVED_MEMORY=2\n"
        "no assignment\nECS_PULL_MODE=x\nECS_DETAILED_OS_FAMILY=\"a=b\"\n")
    cloud = place.dir / "lib" / "cloud" / "data"
    cloud.mkdir(parents=True, exist_ok=True)
    (cloud / "result.json").write_text("{ not JSON")
    s = service(ECS_CLUSTER="environment", ECS_APPARMOR_CAPABLE="").start()
    config = {n: (c["value"], c["origin"]) for n, c in s.config().items()}
    assert config["ECS_CLUSTER"] == ("environment", "environment")
    assert config["ECS_RESERVED_MEMORY"] == ("2", "/etc/ecs/ecs.config")
    assert config["ECS_DETAILED_OS_FAMILY"] == ('"a=b"', "/etc/ecs/ecs.config")
    assert config["ECS_CONTAINER_STOP_TIMEOUT"] == ("3s", "/var/lib/ecs/ecs.config")
    assert config["ECS_CONTAINER_START_TIMEOUT"] == ("49s", "JSON file")
    assert config["ECS_SELINUX_CAPABLE"] == ("true", "user data")
    assert config["ECS_INSTANCE_ATTRIBUTES"] == ('{"from":"user data"}', "user data")
    assert config["ECS_APPARMOR_CAPABLE"] == ("false", "default")
    assert config["AWS_DEFAULT_REGION"] == ("eu-north-1", "IMDS")
    notices = s.notices()
    assert "user data: the key Nonsense is no known setting, ignored" in notices
    assert any(n.startswith("ECS_PULL_MODE is no known setting") for n in notices)
    assert ("PUT", "/latest/api/token", 200) in fake.log


def test_user_data_that_is_a_script(service, imds):
    """H23: no mistake, and nothing of it is taken; the region given is not asked for (H24)."""
    fake = imds(**{USER_DATA: "#!/bin/sh\necho ECS_CLUSTER=x >> /etc/ecs/ecs.config\n"})
    s = service(AWS_DEFAULT_REGION="eu-west-1").start()
    config = s.config()
    assert not [c for c in config.values() if c["origin"] == "user data"]
    assert config["AWS_DEFAULT_REGION"]["value"] == "eu-west-1"
    assert ("GET", USER_DATA, 200) in fake.log
    assert not [e for e in fake.log if e[1] == DOCUMENT]


def test_no_metadata_service_where_it_is_not_wanted(service, imds):
    """H75, -blackhole-ec2-metadata: not one request."""
    fake = imds()
    s = service(AWS_DEFAULT_REGION="eu-west-1", ECS_EXTERNAL="true").start()
    assert s.stop() == 0
    s = service("-blackhole-ec2-metadata", AWS_DEFAULT_REGION="eu-west-1").start()
    assert s.config()["AWS_EC2_METADATA_DISABLED"]["origin"] == "flag"
    assert s.stop() == 0
    assert fake.log == []


@pytest.mark.parametrize("settings, says", [
    ({}, "set AWS_DEFAULT_REGION"),
    ({"AWS_EC2_METADATA_DISABLED": "true"}, "AWS_EC2_METADATA_DISABLED is set"),
    ({"ECS_EXTERNAL": "true"}, "outside EC2"),
])
def test_no_region(service, settings, says):
    """H24, H75: exit 1, saying what to set."""
    s = service(**settings)
    assert s.end() == 1
    assert says in s.text()


@pytest.mark.parametrize("settings, json_file, says", [
    ({}, '{"Cluster":', "is not valid JSON at line 1"),
    ({}, '{"DockerStopTimeout":5}', "ECS_CONTAINER_STOP_TIMEOUT"),
    ({"ECS_AVAILABLE_LOGGING_DRIVERS": '["papyrus"]'}, " \n", "names something unknown"),
    ({"ECS_INSTANCE_ATTRIBUTES": '{"a":1}'}, None, "ECS_INSTANCE_ATTRIBUTES"),
    ({"ECS_CONTAINER_INSTANCE_TAGS": "[]"}, None, "ECS_CONTAINER_INSTANCE_TAGS"),
    ({"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES": "10.0.0.0/8"}, None, "LOCAL_ROUTES"),
    ({"ECS_CONFIG_FILE": "/no/such/file"}, None, "cannot read /no/such/file"),
])
def test_fatal_mistakes(place, service, settings, json_file, says):
    """H22, H30, H31: exit 1, and the mistake by name."""
    if json_file is not None:
        (place.etc / "ecs.config.json").write_text(json_file)
    s = service(AWS_DEFAULT_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="1", **settings)
    assert s.end() == 1
    assert says in s.text()


def test_cloud_init_without_a_source(place, service, imds):
    """H81: there is user data, yet cloud-init found no source: 5."""
    imds(**{USER_DATA: "#!/bin/sh\n"})
    cloud = place.dir / "lib" / "cloud" / "data"
    cloud.mkdir(parents=True, exist_ok=True)
    (cloud / "result.json").write_text('{"v1": {"datasource": "DataSourceNone", "errors": []}}')
    try:
        s = service()
        assert s.end() == 5
        assert "cloud-init" in s.text()
    finally:
        (cloud / "result.json").unlink()


# ---- what is said about it ----

def relay_recorded(path, target):
    """A control socket in front of another; every byte that comes back is kept."""
    seen = bytearray()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve():
        client, _ = listener.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(target))

            def forward():
                while data := client.recv(65536):
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
            t = threading.Thread(target=forward)
            t.start()
            while data := server.recv(65536):
                seen.extend(data)
                client.sendall(data)
            t.join()
        listener.close()
    t = threading.Thread(target=serve)
    t.start()
    return seen, t


def test_refused_by_name_and_secrets_masked(service):
    """What this build lacks, what is of no effect, what is for Windows: one notice each. Secrets are
    masked, and not even sent."""
    s = service(AWS_DEFAULT_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="1",
                ECS_GMSA_SUPPORTED="true", ECS_ENABLE_GPU_SUPPORT="false",
                ECS_ENABLE_CPU_UNBOUNDED_WINDOWS_WORKAROUND="true", ECS_AGENT_LABELS='{"a":"b"}',
                ECS_CLUSTR="x", HTTPS_PROXY="http://user:pr0xy-pass@127.0.0.1:1",
                ECS_CONTAINER_STOP_TIMEOUT="1ms").start()
    notices = s.notices()
    for start in ("ECS_GMSA_SUPPORTED=true is refused: this build does not have gMSA",
                  "ECS_ENABLE_CPU_UNBOUNDED_WINDOWS_WORKAROUND is for Windows only",
                  'ECS_AGENT_LABELS={"a":"b"} has no effect',
                  "ECS_CLUSTR is no known setting; is ECS_CLUSTER meant?",
                  "ECS_CONTAINER_STOP_TIMEOUT=1ms is too small; using 1"):
        assert sum(n.startswith(start) for n in notices) == 1, (start, notices)
    assert not any("GPU" in n for n in notices)
    one = s.ctl("config", "ECS_GMSA_SUPPORTED").stdout
    assert "not in effect: this build does not have gMSA" in one
    assert "for backend, engine" in one
    front = s.dir / "front"
    front.mkdir()
    seen, thread = relay_recorded(front / "control.sock", s.run_dir / "control.sock")
    table = run(conftest.BIN / "ecsctl", "--run-dir", front, "config").stdout
    thread.join()
    assert b"AWS_SECRET_ACCESS_KEY" in seen and b"HTTPS_PROXY" in seen
    secrets = ("s3cr3t-of-the-instance", "pr0xy-pass", "AKIAEXAMPLE")
    for secret in secrets:
        assert secret.encode() not in seen
        assert secret not in s.text()
    (line,) = [x for x in table.splitlines() if " AWS_SECRET_ACCESS_KEY " in x]
    assert line.split()[-2:] == ["environment", "(secret)"]
    unknown = s.ctl("config", "ECS_CLUSTERR", check=False)
    assert unknown.returncode == 1 and "is ECS_CLUSTER meant?" in unknown.stderr


# ---- stops ----

def databases_are_whole(data):
    for path in data.rglob("*.db"):
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",), path


def test_stopped_while_it_starts(service):
    """H45: at any moment of the start; it ends in order, and what is on disk is whole."""
    seed = int(os.environ.get("ECS_TEST_SEED", time.time()))
    print(f"ECS_TEST_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(40 if conftest.LONG else 5):
        s = service(AWS_DEFAULT_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="1").spawn()
        time.sleep(chance.uniform(0, 1.0))
        s.process.send_signal(signal.SIGTERM)
        code = s.process.wait(30)
        # before there is a handler, a signal ends a process that has done nothing yet
        assert code == 0 or code == -signal.SIGTERM and s.text() == "", s.text()
        databases_are_whole(s.data)


def test_a_worker_that_does_not_stop(service):
    """H46: it is ended hard, and the service says so with 5."""
    s = service("-time-scale", "5", AWS_DEFAULT_REGION="eu-west-1",
                AWS_EC2_METADATA_DISABLED="1").start()
    status = json.loads(s.ctl("--json", "status").stdout)
    (pid,) = [w["pid"] for w in status["workers"] if w["name"] == "engine"]
    os.kill(pid, signal.SIGSTOP)
    assert s.stop() == 5
    assert "ending it hard" in s.text()
    databases_are_whole(s.data)


def test_another_cluster(host):
    """H4, H80: registered in one cluster, told another: 5, naming both."""
    agent = Agent(host).start()
    assert agent.stop() == 0
    agent.environment["ECS_CLUSTER"] = "elsewhere"
    agent.start(ready=False)
    try:
        assert agent.process.wait(30) == 5
        assert "'default' but ECS_CLUSTER says 'elsewhere'" in agent.logs()
    finally:
        agent.stop()
