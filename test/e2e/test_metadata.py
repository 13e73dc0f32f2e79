"""The metadata worker on a real Docker: what containers read, and what happens when it is killed,
kept waiting for credentials, or given slow clients. Texts of the answers: unit tests of render.c."""
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import LONG, wait_for

ROLE = "arn:aws:iam::000000000000:role/shop"
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 300 & wait"]
V3_CONTAINER = ["DockerId", "Name", "DockerName", "Image", "ImageID", "Ports", "Labels",
                "DesiredStatus", "KnownStatus", "ExitCode", "Limits", "CreatedAt", "StartedAt",
                "FinishedAt", "Type", "Networks", "Health", "Volumes"]
V4_CONTAINER = [m for m in V3_CONTAINER if m != "Networks"] + [
    "LogDriver", "LogOptions", "ContainerARN", "Networks", "RestartCount"]
V3_TASK = ["Cluster", "TaskARN", "Family", "Revision", "DesiredStatus", "KnownStatus", "Containers",
           "Limits", "PullStartedAt", "PullStoppedAt", "ExecutionStoppedAt", "AvailabilityZone"]
V4_TASK = [m for m in V3_TASK if m != "Containers"] + [
    "LaunchType", "Containers", "VPCID", "ServiceName", "FaultInjectionEnabled",
    "AvailabilityZoneID"]


class Server:
    """The task server as the host sees it."""

    def __init__(self, agent):
        self.agent = agent

    def ask(self, path, *options, port=51679):
        """Status, headers (lower case), body."""
        r = self.agent.host.run("curl", "-si", "--path-as-is", "-m", "10", *options,
                                f"http://127.0.0.1:{port}{path}")
        head, _, body = r.stdout.partition("\n\n")
        lines = head.splitlines()
        headers = {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:])}
        return int(lines[0].split()[1]), headers, body

    def status(self, path):
        return self.ask(path)[0]

    def json(self, path):
        status, _, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)


def environment(agent, docker_id):
    env = json.loads(agent.host.docker("inspect", docker_id))[0]["Config"]["Env"]
    return dict(e.split("=", 1) for e in env)


def container_of(agent, tasks, arn, name):
    for id in tasks.container_ids(arn):
        i = json.loads(agent.host.docker("inspect", id))[0]
        if i["Config"]["Labels"]["com.amazonaws.ecs.container-name"] == name:
            return i
    raise AssertionError(f"no container {name}")


def uris(agent, docker_id):
    """Paths of a container's v3 and v4 metadata and of its role's credentials."""
    e = environment(agent, docker_id)
    at = "http://169.254.170.2"
    return (e["ECS_CONTAINER_METADATA_URI"].removeprefix(at),
            e["ECS_CONTAINER_METADATA_URI_V4"].removeprefix(at),
            e.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))


def in_order(members, order):
    places = [order.index(m) for m in members]  # a member that never shows up raises
    assert places == sorted(places), members


@pytest.fixture(scope="module")
def server(agent):
    return Server(agent)


@pytest.fixture(scope="module")
def shop(agent, tasks):
    """A task with a role, in bridge mode: web with all there is to show, done exits 3."""
    tasks.register("shop", {
        "name": "web", "command": SLEEP, "cpu": 0,
        "portMappings": [{"containerPort": 80}],
        "dockerLabels": {"team": "a<b&c"},
        "environment": [{"name": "AWS_REGION", "value": "eu-north-1"}],
        "healthCheck": {"command": ["CMD-SHELL", "sleep 2; echo fine"], "interval": 5,
                        "timeout": 5, "retries": 1},
        "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}},
    }, {"name": "done", "command": ["sh", "-c", "sleep 1; exit 3"], "essential": False},
        taskRoleArn=ROLE, executionRoleArn=ROLE + "-exec", cpu="256", memory="128")
    (arn,) = tasks.run("shop")
    tasks.wait("RUNNING", arn)
    yield arn
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


@pytest.fixture(scope="module")
def web(agent, tasks, shop):
    return container_of(agent, tasks, shop, "web")


def test_health_is_shown_from_the_first_verdict_on(agent, server, web):
    """M34: {} before, then status, statusSince, output."""
    v4 = uris(agent, web["Id"])[1]
    first = server.json(v4)["Health"]
    health = wait_for("a verdict", lambda: server.json(v4)["Health"], 30, agent.logs)
    assert first in ({}, health)
    assert list(health) == ["status", "statusSince", "output"]
    assert health["status"] == "HEALTHY" and health["output"] == "fine\n"


def test_container_in_both_versions(agent, server, web, shop):
    """M21, M31, M32, M33, M37, M41, M62: bridge address, limits, ports, log, escapes, order."""
    v3_path, v4_path, _ = uris(agent, web["Id"])
    v3, v4 = server.json(v3_path), server.json(v4_path)
    in_order(v3, V3_CONTAINER)
    in_order(v4, V4_CONTAINER)
    assert v4["Limits"] == {"CPU": 2, "Memory": 16}
    bridge = web["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert v4["Networks"] == v3["Networks"] == [
        {"NetworkMode": "bridge", "IPv4Addresses": [bridge]}]
    bindings = web["NetworkSettings"]["Ports"]["80/tcp"]
    assert v4["Ports"] == [{"ContainerPort": 80, "Protocol": "tcp",
                            "HostPort": int(b["HostPort"]), "HostIp": b["HostIp"]}
                           for b in bindings]
    assert v3["Ports"] == [{k: v for k, v in p.items() if k != "HostIp"} for p in v4["Ports"]]
    assert v4["LogDriver"] == "json-file" and v4["LogOptions"] == {"max-size": "1m"}
    assert v4["ContainerARN"].startswith("arn:aws:ecs:")
    assert v4["Labels"]["team"] == "a<b&c"
    assert r'"team":"a\u003cb\u0026c"' in server.ask(v4_path)[2]
    same = {k: v for k, v in v4.items() if k not in ("LogDriver", "LogOptions", "ContainerARN",
                                                     "Ports", "Health")}
    assert same == {k: v for k, v in v3.items() if k not in ("Ports", "Health")}


def test_task_in_both_versions(server, agent, web, shop):
    """M5, M21, M32, M35, M39, M41: order, limits, exit code and times, what is never shown."""
    v3_path, v4_path, _ = uris(agent, web["Id"])
    done = wait_for("the exit is shown", lambda: [
        c for c in server.json(v4_path + "/task")["Containers"]
        if c["Name"] == "done" and c["KnownStatus"] == "STOPPED"])[0]
    v3, v4 = server.json(v3_path + "/task"), server.json(v4_path + "/task")
    in_order(v3, V3_TASK)
    in_order(v4, V4_TASK)
    assert v4["TaskARN"] == shop and v4["FaultInjectionEnabled"] is False
    assert v4["LaunchType"] == "EC2" and "LaunchType" not in v3
    assert v4["Limits"] == {"CPU": 0.25, "Memory": 128}
    assert [c["Name"] for c in v4["Containers"]] == ["web", "done"]
    assert done["ExitCode"] == 3 and done["FinishedAt"] > done["StartedAt"] > done["CreatedAt"]
    assert done["Networks"] == [{"NetworkMode": "bridge", "IPv4Addresses": [""]}]
    assert "Health" not in done and "LogDriver" not in done


def test_host_mode_has_no_address(agent, tasks, server):
    """M31, M32: IPv4Addresses [""]; no task limits when none are set."""
    tasks.register("hostmode", {"name": "one", "command": SLEEP}, networkMode="host")
    (arn,) = tasks.run("hostmode")
    tasks.wait("RUNNING", arn)
    v4 = uris(agent, tasks.container_ids(arn)[0])[1]
    assert server.json(v4)["Networks"] == [{"NetworkMode": "host", "IPv4Addresses": [""]}]
    assert "Limits" not in server.json(v4 + "/task")
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_a_definition_that_sets_one_region_gets_no_other(web):
    """M64."""
    environment = dict(e.split("=", 1) for e in web["Config"]["Env"])
    assert environment["AWS_REGION"] == "eu-north-1" and "AWS_DEFAULT_REGION" not in environment


def test_routes_methods_and_unclean_paths(agent, server, web):
    """M28, M29: 404 text, any method is a GET, HEAD has no body, redirects."""
    v4 = uris(agent, web["Id"])[1]
    status, headers, body = server.ask("/nope")
    assert (status, body) == (404, "404 page not found\n")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    for path in (v4 + "/", v4 + "/tasks", v4 + "/task/", "/v5/x", "/", "/v2/credentials"):
        assert server.status(path) == 404, path
    answer = server.ask(v4)[2]
    for options in (("-X", "POST", "-d", "x=y"), ("-X", "DELETE"), ("-X", "PUT", "-d", "{")):
        assert server.ask(v4, *options)[2] == answer
    status, headers, body = server.ask(v4, "-I")
    assert (status, body) == (200, "") and int(headers["content-length"]) == len(answer)
    assert headers["content-type"] == "application/json"
    assert server.ask("/v4%2F" + v4.split("/")[-1])[2] == answer
    status, headers, body = server.ask("//v4//x?y=1")
    assert (status, headers["location"], body) == (301, "/v4/x?y=1", "")
    status, headers, body = server.ask("/v1//tasks?a=1&b", port=51678)
    assert (status, headers["location"]) == (301, "/v1/tasks?a=1&b")
    assert body == '<a href="/v1/tasks?a=1&amp;b">Moved Permanently</a>.\n\n'


def test_introspection_finds_tasks(agent, tasks, server, web, shop):
    """M17, M60: all, by ARN, by long and short Docker id, and what is ambiguous or unknown."""
    status, headers, body = server.ask("/v1/metadata", port=51678)
    about = json.loads(body)
    assert list(about) == ["Cluster", "ContainerInstanceArn", "Version"]
    assert about["ContainerInstanceArn"] == \
        agent.aws("list-container-instances")["containerInstanceArns"][0]
    assert about["Version"].startswith("Amazon ECS Agent - v")

    def find(query):
        status, headers, body = server.ask("/v1/tasks" + query, port=51678)
        assert headers["content-type"] == "application/json"
        return status, json.loads(body)
    none = {"Arn": "", "KnownStatus": "", "Family": "", "Version": "", "Containers": None}
    (mine,) = [t for t in find("")[1]["Tasks"] if t["Arn"] == shop]
    assert list(mine) == ["Arn", "DesiredStatus", "KnownStatus", "Family", "Version", "Containers"]
    ports = mine["Containers"][0]["Ports"]
    assert ports[0]["ContainerPort"] == 80 and "HostIp" not in ports[0]
    assert find("?taskarn=" + shop) == (200, mine)
    assert find("?taskarn=" + shop.replace(":", "%3A").replace("/", "%2F")) == (200, mine)
    for id in (web["Id"], web["Id"][:12], web["Id"][:11]):
        assert find("?dockerid=" + id) == (200, mine)
    assert find("?dockerid=" + web["Id"][:13]) == (404, none)
    assert find("?dockerid=") == (400, none)  # every container matches
    assert find("?dockerid=x&taskarn=y") == (400, none)
    assert find("?taskarn=") == (404, none)


def test_an_sdk_in_a_container_takes_the_credentials(agent, tasks, server):
    """M2: boto3, by the relative and by the full URI, signs with the key of the role. Python is the
    host's, mounted read-only."""
    code = ("import boto3, os\n"
            "def signed():\n"
            "    c = boto3.client('sts', endpoint_url='http://127.0.0.1:9')\n"
            "    def stop(request, **_):\n"
            "        print(request.headers['Authorization'].decode().split('=')[1].split('/')[0])\n"
            "        raise SystemExit\n"
            "    c.meta.events.register('before-send', stop)\n"
            "    try:\n        c.get_caller_identity()\n    except SystemExit:\n        pass\n"
            "signed()\n"
            "path = os.environ.pop('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')\n"
            "os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = 'http://169.254.170.2' + path\n"
            "boto3.DEFAULT_SESSION = None\n"
            "signed()\n")
    folders = ("/usr", "/lib", "/lib64")
    tasks.register("sdk", {
        "name": "one", "memory": 128, "command": [
            "sh", "-c", "/usr/bin/python3 -c \"$CODE\" 2>&1; trap 'exit 0' TERM; sleep 300 & wait"],
        "environment": [{"name": "CODE", "value": code}],
        "mountPoints": [{"sourceVolume": f.strip("/"), "containerPath": f, "readOnly": True}
                        for f in folders],
    }, volumes=[{"name": f.strip("/"), "host": {"sourcePath": f}} for f in folders],
        taskRoleArn=ROLE)
    (arn,) = tasks.run("sdk")
    tasks.wait("RUNNING", arn)
    (id,) = tasks.container_ids(arn)
    key = server.json(uris(agent, id)[2])["AccessKeyId"]
    out = wait_for("both have signed", lambda: (
        lambda o: o if len(o) >= 2 else None)(agent.host.docker("logs", id).split()), 60,
        lambda: agent.host.docker("logs", id))
    assert out == [key, key]
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_refreshed_credentials_are_served_before_the_ack(agent, server, web, shop):
    """M3: whoever has seen the ack sees the new key."""
    path = uris(agent, web["Id"])[2]
    old = server.json(path)
    entries = agent.record()
    agent.fault("expire", shop, ms="3600000")
    wait_for("the ack", lambda: [e for e in agent.record("message", "acs", entries[-1]["number"])
                                 if e["body"]["type"] == "IAMRoleCredentialsAckRequest"
                                 and path.endswith(e["body"]["message"]["credentialsId"])], 10,
             agent.logs)
    new = server.json(path)
    assert new["RoleArn"] == old["RoleArn"] and new["SecretAccessKey"] != old["SecretAccessKey"]
    assert new["Expiration"] != old["Expiration"]


def test_the_first_thing_a_container_does_is_answered(agent, tasks):
    """M6: never 404 or 400, for container, task and credentials."""
    first = ("wget -qO- $ECS_CONTAINER_METADATA_URI_V4 && wget -qO- $ECS_CONTAINER_METADATA_URI_V4"
             "/task && wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    tasks.register("quick", *[{"name": f"c{i}", "command": ["sh", "-c", first], "memory": 8}
                              for i in range(2 if not LONG else 10)], taskRoleArn=ROLE)
    arns = tasks.run("quick", count=10)
    for task in tasks.wait("STOPPED", *arns, seconds=120):
        for c in task["containers"]:
            # an essential container that ended takes its fellow with it
            assert c.get("exitCode") in (0, 137, 143, None), (c, agent.logs())
        assert 0 in [c.get("exitCode") for c in task["containers"]]


LOAD = """
import http.client, sys, threading, time
paths, end = sys.argv[2:], time.time() + float(sys.argv[1])
done, broken, bad = [0], [], []

def load(path):
    while time.time() < end:
        c = http.client.HTTPConnection('127.0.0.1', 51679, timeout=10)
        try:
            c.request('GET', path)
            a = c.getresponse()
            a.read()
            if a.status != 200:
                bad.append(f'{path}: {a.status}')
            done[0] += 1
        except ConnectionRefusedError:
            bad.append('refused')
        except OSError as e:
            broken.append(str(e))
        except http.client.HTTPException as e:
            broken.append(str(e))
        finally:
            c.close()

threads = [threading.Thread(target=load, args=(p,)) for p in paths for _ in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
print(done[0], len(broken), bad[:5])
sys.exit(1 if bad or not done[0] else 0)
"""


def test_the_worker_killed_under_load(agent, server, web):
    """M9, M10: nobody is refused; the same ids and the credentials are served again. Only requests
    in flight break."""
    _, v4, credentials = uris(agent, web["Id"])
    before = server.json(credentials)
    load = subprocess.Popen(
        agent.host.enter("/usr/bin/python3", "-c", LOAD, 6, v4, v4 + "/task", credentials),
        stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        time.sleep(1)
        os.kill(agent.pid("metadata"), signal.SIGKILL)
        agent.wait_connected()
    out, _ = load.communicate()
    assert load.returncode == 0, out + agent.logs()
    assert int(out.split()[1]) <= 3 * 6, out
    assert server.json(credentials) == before


IDLE = """
import socket, sys, time
path, host = sys.argv[1], ('127.0.0.1', 51679)
idle = [socket.create_connection(host) for _ in range(1000)]
half = socket.create_connection(host)
half.sendall(b'GET / HTTP/1.1\\r\\nHost')
start = time.time()
for _ in range(20):
    s = socket.create_connection(host, timeout=4)
    s.sendall(b'GET ' + path.encode() + b' HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
    assert s.recv(12) == b'HTTP/1.1 200', 'not served beside idle connections'
    s.close()
assert time.time() - start < 4, 'served late beside idle connections'
half.settimeout(20)
assert half.recv(100) == b'', 'half a request was answered'
took = time.time() - start
assert 4 < took < 15, took
"""


def test_idle_and_half_sent_requests_hold_nobody_up(agent, web):
    """M24."""
    r = agent.host.run("/usr/bin/python3", "-c", IDLE, uris(agent, web["Id"])[1], check=False)
    assert r.returncode == 0, r.stderr


def test_an_oversized_body_is_refused(agent, server, web, tmp_path):
    """M24."""
    big = tmp_path / "big"
    big.write_bytes(b"x" * 1000000)
    v4 = uris(agent, web["Id"])[1]
    assert server.ask(v4, "-X", "POST", "-H", "Expect:", "--data-binary", f"@{big}")[0] == 413
    assert server.status(v4) == 200


def test_known_ids_wait_for_their_credentials(agent, server, web):
    """M11: with ACS cut off and both holders killed 503, then 200 once ACS is back."""
    path = uris(agent, web["Id"])[2]
    agent.fault("refuse", "acs")
    try:
        for pid in [agent.pid(w) for w in ("backend", "metadata")]:  # neither can fill the other
            os.kill(pid, signal.SIGKILL)
        status, _, body = server.ask(path)
        assert (status, body) == (503, json.dumps({
            "code": "CredentialsUninitialized",
            "message": "CredentialsV2Request: Credentials uninitialized for ID",
            "HTTPErrorCode": 503}, separators=(",", ":")))
        assert server.status("/v2/credentials/nope") == 400
    finally:
        agent.fault("clear")
    wait_for("the credentials are back", lambda: server.status(path) == 200, 60, agent.logs)
    agent.wait_connected()
