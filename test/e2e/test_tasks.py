"""Tasks through the aws CLI: status, exit codes, metadata, credentials."""
import datetime
import json
import pathlib

import pytest

from conftest import wait_for


def inside(agent, container, command):
    return agent.host.docker("exec", container, "sh", "-c", command)


def test_hello_runs_serves_and_stops(agent, tasks):
    """B1, E1, E2, E7, E25, E26: run by the aws CLI, a page is served, stop gives an exit code."""
    tasks.register("hello", {"name": "web", "command": ["httpd", "-f", "-p", "80", "-h", "/www"],
                             "portMappings": [{"containerPort": 80}]})
    (arn,) = tasks.run("hello")
    (task,) = tasks.wait("RUNNING", arn)
    (container,) = task["containers"]
    (binding,) = container["networkBindings"]
    assert binding["bindIP"] == "0.0.0.0" and binding["hostPort"] >= 1024
    page = agent.host.run("curl", "-sf", f"http://127.0.0.1:{binding['hostPort']}/").stdout
    assert page == "hello from a task\n"
    (docker_id,) = tasks.container_ids(arn)
    assert container["runtimeId"] == docker_id
    agent.aws("stop-task", "--task", arn, "--reason", "test")
    (task,) = tasks.wait("STOPPED", arn)
    assert task["containers"][0]["exitCode"] in (137, 143)
    assert task["stoppedReason"] == "test" and task["stopCode"] == "UserInitiated"


def test_labels_memory_and_environment(agent, tasks):
    """E6, E19, E20, E24, M64: what Docker is told."""
    tasks.register("settings", {"name": "one", "command": ["sleep", "60"], "cpu": 512,
                                "memory": 100, "environment": [{"name": "K", "value": "v w"}],
                                "dockerLabels": {"a": "b"}, "user": "1000:1000",
                                "workingDirectory": "/tmp"})
    (arn,) = tasks.run("settings")
    tasks.wait("RUNNING", arn)
    i = json.loads(agent.host.docker("inspect", tasks.container_ids(arn)[0]))[0]
    assert i["HostConfig"]["Memory"] == 104857600 and i["HostConfig"]["CpuShares"] == 512
    assert i["Config"]["User"] == "1000:1000" and i["Config"]["WorkingDir"] == "/tmp"
    labels = i["Config"]["Labels"]
    assert labels["a"] == "b"
    assert labels["com.amazonaws.ecs.task-arn"] == arn
    assert labels["com.amazonaws.ecs.container-name"] == "one"
    assert labels["com.amazonaws.ecs.task-definition-family"] == "settings"
    assert labels["com.amazonaws.ecs.cluster"] == "default"
    environment = dict(e.split("=", 1) for e in i["Config"]["Env"])
    assert environment["K"] == "v w" and environment["AWS_EXECUTION_ENV"] == "AWS_ECS_EC2"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["ECS_CONTAINER_METADATA_URI_V4"].startswith("http://169.254.170.2/v4/")
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_ten_tasks_of_three_containers(agent, tasks):
    """Exit codes of 10 tasks of 3 containers each; E3, E5. The 20 s let all 30 start on a busy host."""
    tasks.register("three", {"name": "a", "command": ["sh", "-c", "sleep 20; exit 7"]},
                   {"name": "b", "command": ["sleep", "100"]},
                   {"name": "c", "command": ["sh", "-c", "sleep 1; exit 3"], "essential": False})
    arns = tasks.run("three", count=10)
    for task in tasks.wait("STOPPED", *arns, seconds=120):
        codes = {c["name"]: c["exitCode"] for c in task["containers"]}
        assert codes["a"] == 7 and codes["c"] == 3 and codes["b"] in (137, 143), codes
        assert task["stopCode"] == "EssentialContainerExited"
        assert "startedAt" in task


def test_metadata_and_credentials_from_inside(agent, tasks):
    """M1, M4, M5, M12, M13, M17, M22, M60, M61: read by a container and on the host."""
    tasks.register("meta", {"name": "web", "command": ["sleep", "100"]},
                   taskRoleArn="arn:aws:iam::000000000000:role/shop")
    (arn,) = tasks.run("meta")
    tasks.wait("RUNNING", arn)
    (docker_id,) = tasks.container_ids(arn)
    container = json.loads(inside(agent, docker_id, "wget -qO- $ECS_CONTAINER_METADATA_URI_V4"))
    assert container["DockerId"] == docker_id and container["Name"] == "web"
    task = json.loads(inside(agent, docker_id, "wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task"))
    assert task["TaskARN"] == arn and task["Family"] == "meta" and task["Revision"] == "1"
    assert [c["KnownStatus"] for c in task["Containers"]] == ["RUNNING"]
    uri = inside(agent, docker_id, "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    text = inside(agent, docker_id, f"wget -qO- http://169.254.170.2{uri}")
    keys = json.loads(text)
    assert list(keys) == ["RoleArn", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
    assert keys["RoleArn"].endswith(":role/shop")

    def host_get(path, port=51679):
        r = agent.host.run("curl", "-s", "-w", "\n%{http_code}", f"http://127.0.0.1:{port}{path}")
        body, code = r.stdout.rsplit("\n", 1)
        return int(code), body

    assert host_get("/v1/credentials?id=" + uri.split("/")[-1]) == (200, text)
    code, body = host_get("/v2/credentials/nope")
    assert code == 400 and json.loads(body) == {
        "code": "InvalidIdInRequest", "message": "CredentialsV2Request: Credentials not found",
        "HTTPErrorCode": 400}
    for path, version in (("/v1/credentials", 1), ("/v1/credentials?id=", 1),
                          ("/v2/credentials/", 2)):
        code, body = host_get(path)
        assert code == 400 and json.loads(body)["code"] == "NoIdInRequest"
        assert json.loads(body)["message"].startswith(f"CredentialsV{version}Request: ")
    assert host_get("/v4/nope")[0] == 404 and host_get("/v3/nope")[0] == 500
    assert host_get("/v4/nope")[1] == (
        '"V4 container metadata handler: unable to get container ID from request: '
        'unable to get docker ID from v3 endpoint ID: nope"')
    code, body = host_get("/v1/metadata", 51678)
    assert code == 200 and list(json.loads(body)) == ["Cluster", "ContainerInstanceArn", "Version"]
    code, body = host_get("/v1/tasks?dockerid=" + docker_id[:12], 51678)
    assert code == 200 and json.loads(body)["Arn"] == arn
    assert host_get("/v1/tasks?taskarn=nope", 51678)[0] == 404
    code, body = host_get("/nothing", 51678)
    assert code == 200 and "AvailableCommands" in json.loads(body)
    # M15, B77: no secret on disk or in logs
    for path in list(agent.data.rglob("*")) + [agent.log]:
        if path.is_file() and path.name != "credentials":
            data = path.read_bytes()
            assert keys["SecretAccessKey"].encode() not in data, path
            assert agent.keys("agent")[1].encode() not in data, path
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)
    wait_for("the role's credentials are gone with the task", lambda: host_get(uri)[0] == 400)


def test_bad_command_has_the_ecs_reason(agent, tasks):
    """E17: CannotStartContainerError, no exit code."""
    tasks.register("bad", {"name": "one", "command": ["/nonexistent"]})
    (arn,) = tasks.run("bad")
    (task,) = tasks.wait("STOPPED", arn)
    (c,) = task["containers"]
    assert c["reason"].startswith("CannotStartContainerError: Error response from daemon: ")
    assert "exitCode" not in c and task["stopCode"] == "TaskFailedToStart"


def test_missing_image_has_the_ecs_reason(agent, tasks):
    """E12: CannotPullContainerError after the retries."""
    tasks.register("noimage", {"name": "one", "image": "127.0.0.1:1/none:1"})
    (arn,) = tasks.run("noimage")
    (task,) = tasks.wait("STOPPED", arn, seconds=90)
    assert task["containers"][0]["reason"].startswith("CannotPullContainerError: ")


def cgroups_without_mount():
    """containerd watches the memory of no container while a hierarchy is mounted nowhere."""
    mounted = {c for l in pathlib.Path("/proc/mounts").read_text().splitlines()
               if l.split()[2] == "cgroup" for c in l.split()[3].split(",")}
    return [c for l in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
            for c in l.split(":")[1].split(",") if c and c not in mounted]


def test_out_of_memory(agent, tasks):
    """E18. The second is Docker's: its watch on the memory begins after the start."""
    if cgroups_without_mount():
        pytest.skip(f"no mount for {cgroups_without_mount()}: Docker does not see a lack of memory")
    tasks.register("oom", {"name": "one", "memory": 6,
                           "command": ["sh", "-c", "sleep 1; exec busybox tail /dev/zero"]})
    (arn,) = tasks.run("oom")
    (task,) = tasks.wait("STOPPED", arn)
    (c,) = task["containers"]
    assert c["exitCode"] == 137
    assert c["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def seconds(time):
    """A time as the aws CLI prints it: seconds or ISO 8601, by its version."""
    return datetime.datetime.fromisoformat(time).timestamp() if isinstance(time, str) else time


def test_stop_timeout(agent, tasks):
    """E37: SIGTERM ignored, killed after stopTimeout."""
    tasks.register("deaf", {"name": "one", "stopTimeout": 2, "command": [
        "sh", "-c", "trap '' TERM; while true; do sleep 1; done"]})
    (arn,) = tasks.run("deaf")
    tasks.wait("RUNNING", arn)
    agent.aws("stop-task", "--task", arn)
    (task,) = tasks.wait("STOPPED", arn)
    assert task["containers"][0]["exitCode"] == 137
    took = seconds(task["executionStoppedAt"]) - seconds(task["stoppingAt"])
    assert 1.5 < took < 8


def test_host_volume(agent, tasks):
    """E41."""
    source = agent.dir / "volume"
    source.mkdir()
    tasks.register("volume", {"name": "one", "command": ["sh", "-c", "echo hi > /v/f; sleep 60"],
                              "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]},
                   volumes=[{"name": "v", "host": {"sourcePath": str(source)}}])
    (arn,) = tasks.run("volume")
    tasks.wait("RUNNING", arn)
    wait_for("the file is there", lambda: (source / "f").exists())
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)


def test_refusals_name_what_is_wrong(agent, tasks):
    """The control plane's errors are those of ECS, and name the member."""
    r = agent.aws("describe-tasks", "--cluster", "nowhere", "--tasks", "x", check=False)
    assert "ClusterNotFoundException" in r.stderr
    r = agent.aws("run-task", "--task-definition", "nothing", check=False)
    assert "ClientException" in r.stderr
    r = agent.aws("list-account-settings", check=False)
    assert "UnknownOperationException" in r.stderr and "ListAccountSettings" in r.stderr


def test_boto3_validates_the_answers(agent, boto):
    out = boto("print(c.describe_clusters()['clusters'][0]['status'])\n"
               "i = c.list_container_instances()['containerInstanceArns']\n"
               "d = c.describe_container_instances(containerInstances=i)['containerInstances'][0]\n"
               "print(d['agentConnected'], d['status'])\n"
               "print(d['registeredAt'].year > 2000)")
    assert out.split() == ["ACTIVE", "True", "ACTIVE", "True"]


def test_wrong_keys_are_refused(agent):
    """B4, B5: the plane verifies signatures."""
    code = ("import boto3\n"
            "c = boto3.client('ecs', endpoint_url='http://127.0.0.1:51670',"
            " region_name='us-east-1', aws_access_key_id='{}', aws_secret_access_key='{}')\n"
            "try:\n    c.list_clusters()\nexcept Exception as e:\n    print(e)\n")
    key = agent.keys()[0]
    for pair, error in (((key, "wrong"), "InvalidSignatureException"),
                        (("AKIAUNKNOWN", "x"), "UnrecognizedClientException"),
                        (agent.keys("agent"), "AccessDeniedException")):
        out = agent.host.run("/usr/bin/python3", "-c", code.format(*pair)).stdout
        assert error in out, out
