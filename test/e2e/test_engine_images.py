"""Images from a registry: what is pulled, what is reported of it, what happens without it."""
import json
import shutil
import subprocess

import pytest

from conftest import Agent, Tasks, wait_for
from wire import last, reported, submits

REGISTRY = "127.0.0.1:5000"
CONFIG = """version: 0.1
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "%s"}
"""


class Registry:
    def __init__(self, host):
        self.host, self.process = host, None
        self.config = host.dir / "registry.yml"
        self.config.write_text(CONFIG % (host.dir / "registry", REGISTRY))

    def start(self):
        self.process = subprocess.Popen(
            self.host.enter("docker-registry", "serve", self.config),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the registry answers", lambda: self.host.run(
            "curl", "-sf", f"http://{REGISTRY}/v2/", check=False).returncode == 0)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def registry(host):
    if shutil.which("docker-registry") is None:
        pytest.skip("needs the package docker-registry")
    r = Registry(host)
    r.start()
    yield r
    r.stop()


@pytest.fixture(scope="module")
def agent(host):
    a = Agent(host, scale=5).start()
    yield a
    assert a.stop() in (0, None), a.logs()


def push(host, name):
    """Digest under which the registry holds it; the local copy is gone afterwards."""
    image = f"{REGISTRY}/{name}"
    host.docker("tag", "ecs-hello:latest", image)
    host.docker("push", image)
    digest = json.loads(host.docker("inspect", "-f", "{{json .RepoDigests}}", image))
    host.docker("rmi", image)
    return next(d for d in digest if d.startswith(REGISTRY)).split("@")[1]


def test_an_image_is_pulled_and_its_digest_told(host, agent, registry):
    """E1, E12, E13: PENDING with the digest, RUNNING, STOPPED with exit code and container id; a tag
    the registry does not have; the registry away, the image still here."""
    tasks = Tasks(agent)
    digest = push(host, "app:1")
    tasks.register("pulled", {"name": "one", "image": f"{REGISTRY}/app:1",
                              "command": ["sh", "-c", "sleep 2; exit 7"]})
    tasks.register("missing", {"name": "one", "image": f"{REGISTRY}/app:none"})
    before = last(agent)
    (pulled,), (missing,) = tasks.run("pulled"), tasks.run("missing")
    told = reported(agent, pulled, "STOPPED", before)
    bodies = [s["body"] for s in submits(agent, pulled, before)]
    assert [b["status"] for b in bodies] == ["PENDING", "RUNNING", "STOPPED"]
    containers = [b["containers"][0] for b in bodies]
    assert [c["status"] for c in containers] == ["PENDING", "RUNNING", "STOPPED"]
    assert all(c["imageDigest"] == digest for c in containers)
    assert containers[-1]["exitCode"] == 7
    assert [containers[-1]["runtimeId"]] == tasks.container_ids(pulled)
    assert told["pullStartedAt"] <= told["pullStoppedAt"] <= told["executionStoppedAt"]

    (c,) = reported(agent, missing, "STOPPED", before)["containers"]
    assert c["reason"].startswith("CannotPullContainerError: ") and "exitCode" not in c

    registry.stop()
    (cached,) = tasks.run("pulled")
    assert reported(agent, cached, "RUNNING", before)["containers"][0]["imageDigest"] == digest
    registry.start()
    tasks.wait("STOPPED", cached)
