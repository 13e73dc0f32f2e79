"""The bench's clients, each a short-lived process inside the test host: the libraries they map are
gone when memory is measured. Every command prints one JSON value."""
import concurrent.futures
import http.client
import json
import socket
import sys
import time

import boto3

PLANE = "http://127.0.0.1:51670"
CLUSTER_MAX = 10  # tasks a RunTask call takes


class Docker:
    """Plain calls on the API's socket."""

    def __init__(self, path):
        self.path = path

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.path)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise SystemExit(f"docker: {method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def launch(self, settings):
        id = self.call("POST", "/containers/create", settings)["Id"]
        self.call("POST", f"/containers/{id}/start")
        return id

    def remove(self, id):
        self.call("DELETE", f"/containers/{id}?force=1&v=1")


class Plane:
    """The local control plane, as a user of the SDK."""

    def __init__(self, key, secret):
        self.ecs = boto3.client("ecs", endpoint_url=PLANE, region_name="us-east-1",
                                aws_access_key_id=key, aws_secret_access_key=secret)

    def register(self):
        self.ecs.register_task_definition(family="bench", containerDefinitions=[
            {"name": "one", "image": "ecs-hello:latest", "cpu": 10, "memory": 16,
             "essential": True, "stopTimeout": 2,
             "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]}])

    def run(self, count):
        arns = []
        while len(arns) < count:
            answer = self.ecs.run_task(taskDefinition="bench",
                                       count=min(count - len(arns), CLUSTER_MAX))
            if answer["failures"]:
                raise SystemExit(f"bench: run-task: {answer['failures']}")
            arns += [t["taskArn"] for t in answer["tasks"]]
        return arns

    def wait(self, status, arns):
        """Seldom asks: the times come from the plane's records."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.2)
            tasks = self.ecs.describe_tasks(tasks=arns)["tasks"]
            if all(t["lastStatus"] == status for t in tasks):
                return tasks
        raise SystemExit(f"bench: {len(arns)} tasks not {status} within 60 s: "
                         f"{[(t['lastStatus'], t.get('stoppedReason')) for t in tasks]}")

    def stop(self, arns):
        for arn in arns:
            self.ecs.stop_task(task=arn)
        self.wait("STOPPED", arns)


def plain_one(docker, settings):
    start = time.monotonic()
    id = docker.launch(settings)
    took = time.monotonic() - start
    docker.remove(id)
    return [took * 1000]


def plain_burst(docker, settings, count):
    start = time.monotonic()

    def one(_):
        id = docker.launch(settings)
        return id, (time.monotonic() - start) * 1000
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        results = list(pool.map(one, range(count)))
        list(pool.map(lambda r: docker.remove(r[0]), results))
    return [took for _, took in results]


def agent_tasks(plane, count):
    arns = plane.run(count)
    tasks = plane.wait("RUNNING", arns)
    first = min(t["createdAt"] for t in tasks)
    took = [(t["startedAt"] - first).total_seconds() * 1000 for t in tasks]
    plane.stop(arns)
    return took


def same_settings(docker, plane):
    """What the agent tells Docker, so that both launch the same thing."""
    arns = plane.run(1)
    plane.wait("RUNNING", arns)
    (found,) = docker.call("GET", "/containers/json")
    inspect = docker.call("GET", f"/containers/{found['Id']}/json")
    plane.stop(arns)
    config = inspect["Config"]
    return {**{k: config[k] for k in ("Image", "Cmd", "Env", "Labels")},
            "HostConfig": inspect["HostConfig"]}


def launches(docker, plane, rounds, bursts, size):
    """Interleaved, so that what slows the machine slows both."""
    plane.register()
    settings = same_settings(docker, plane)
    out = {"plain one": [], "agent one": [], "plain burst": [], "agent burst": []}
    for _ in range(rounds):
        out["plain one"] += plain_one(docker, settings)
        out["agent one"] += agent_tasks(plane, 1)
    for _ in range(bursts):
        out["plain burst"] += plain_burst(docker, settings, size)
        out["agent burst"] += agent_tasks(plane, size)
    return out


def until_served(url):
    """Says when the first good answer came, on the clock all processes share."""
    host, port, path = url
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return time.monotonic()
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.001)
    raise SystemExit("bench: metadata not served within 60 s")


def main():
    a = json.loads(sys.argv[1])
    if a["do"] == "until served":
        print(json.dumps(until_served(a["url"])))
        return
    plane = Plane(*a["keys"])
    if a["do"] == "launches":
        print(json.dumps(launches(Docker(a["docker"]), plane, a["rounds"], a["bursts"], a["size"])))
    elif a["do"] == "run":
        arns = plane.run(a["count"])
        plane.wait("RUNNING", arns)
        print(json.dumps(arns))


main()
