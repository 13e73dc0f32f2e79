"""The local control plane as users see it: requests checked by the model, answers held to it."""
import json
import sqlite3
import time

import plane
from plane import agent, ecs  # noqa: F401  (fixtures)
from conftest import wait_for


def container(**more):
    return {"name": "one", "image": "ecs-hello:latest", "memory": 16, "command": ["sleep", "600"],
            "stopTimeout": 2, **more}


def register(ecs, family, *containers, **more):
    r = ecs.register_task_definition(family=family, containerDefinitions=[
        container(**c) for c in containers] or [container()], **more)
    return r["taskDefinition"]["taskDefinitionArn"]


def wait_tasks(ecs, status, *arns, seconds=60):
    def reached():
        found = ecs.describe_tasks(tasks=list(arns))["tasks"]
        return found if all(t["lastStatus"] == status for t in found) else None
    return wait_for(f"{arns} are {status}", reached, seconds,
                    lambda: json.dumps(ecs.describe_tasks(tasks=list(arns)), default=str, indent=1))


def stop_all(ecs, arns):
    for arn in arns:
        ecs.stop_task(task=arn)
    wait_tasks(ecs, "STOPPED", *arns)


# ---- requests ----

def wrong_values(shape, depth=0):
    """(path, value) with one member of a wrong type, for every member down to the third level."""
    wrong = {"string": 7, "integer": "x", "long": "x", "boolean": "x", "list": "x", "map": "x",
             "structure": "x", "double": "x", "float": "x", "timestamp": "x"}
    for name, member in shape.members.items():
        yield name, {name: wrong[member.type_name]}
        inner = member.member if member.type_name == "list" else member
        if inner.type_name == "structure" and depth < 2:
            for path, value in wrong_values(inner, depth + 1):
                yield f"{name}.{path}", {name: [value] if member.type_name == "list" else value}


def test_every_member_of_the_model_is_known_and_typed(agent, ecs):
    """Each member of each request, given a wrong type, is refused by name: as mistyped where the
    plane supports it, as unsupported where it does not, and never as unknown."""
    known = ("SerializationException", "UnsupportedFeatureException")
    modelled = [o for o in OPERATIONS if o in ecs.meta.service_model.operation_names]
    assert len(modelled) >= len(OPERATIONS) - 1   # old models have no DeleteTaskDefinitions
    for o in modelled:
        for path, value in wrong_values(ecs.meta.service_model.operation_model(o).input_shape):
            status, answer = plane.raw(agent, o, value)
            assert status == 400 and answer["__type"] in known, (o, path, answer)
            named = path.split(".")
            if answer["__type"] == "UnsupportedFeatureException":   # or what it stands in
                named = [n for n in named if n in answer["message"]]
            assert named and named[-1] in answer["message"], (o, path, answer)
    for o in OPERATIONS:
        status, answer = plane.raw(agent, o, {"nonsense": 1})
        assert status == 400 and "Unknown parameter" in answer["message"], (o, answer)
        assert "nonsense" in answer["message"], (o, answer)


OPERATIONS = """CreateCluster DescribeClusters ListClusters DeleteCluster RegisterTaskDefinition
DescribeTaskDefinition ListTaskDefinitions ListTaskDefinitionFamilies DeregisterTaskDefinition
DeleteTaskDefinitions RunTask StartTask StopTask DescribeTasks ListTasks ListContainerInstances
DescribeContainerInstances UpdateContainerInstancesState DeregisterContainerInstance TagResource
UntagResource ListTagsForResource PutAttributes DeleteAttributes ListAttributes CreateService
UpdateService DeleteService DescribeServices ListServices""".split()


def test_what_is_outside_is_refused_by_name(agent, ecs):
    """Nothing is ignored in silence: the answer names the member and its value."""
    arn = register(ecs, "outside")
    vpc = {"awsvpcConfiguration": {"subnets": ["s"]}}
    for call, arguments, word in (
            (ecs.run_task, {"taskDefinition": arn, "launchType": "FARGATE"}, "FARGATE"),
            (ecs.run_task, {"taskDefinition": arn, "networkConfiguration": vpc},
             "networkConfiguration"),
            (ecs.run_task, {"taskDefinition": arn, "enableExecuteCommand": True},
             "enableExecuteCommand"),
            (ecs.run_task, {"taskDefinition": arn, "capacityProviderStrategy": [
                {"capacityProvider": "c"}]}, "capacityProviderStrategy"),
            (ecs.create_service, {"serviceName": "s", "taskDefinition": arn, "desiredCount": 1,
                                  "loadBalancers": [{"targetGroupArn": "a"}]}, "loadBalancers"),
            (ecs.create_service, {"serviceName": "s", "taskDefinition": arn,
                                  "schedulingStrategy": "DAEMON"}, "DAEMON"),
            (ecs.register_task_definition, {"family": "x", "networkMode": "awsvpc",
                                            "containerDefinitions": [container()]}, "awsvpc")):
        code, message = plane.error_of(call, **arguments)
        assert code == "UnsupportedFeatureException" and word in message, (code, message)
    # asking for nothing is not asking
    assert ecs.run_task(taskDefinition=arn, enableExecuteCommand=False,
                        capacityProviderStrategy=[], count=1)["failures"] == []
    stop_all(ecs, ecs.list_tasks()["taskArns"])


def test_task_definitions_are_checked(ecs):
    """The errors of RegisterTaskDefinition say what is wrong with which container."""
    for words, containers, more in (
            ("should not be null or empty", [{"image": ""}], {}),
            ("At least one of 'memory'", [{"memory": None}], {}),
            ("at least 6 MiB", [{"memory": 4}], {}),
            ("lower than its memory", [{"memoryReservation": 32}], {}),
            ("should be unique", [{}, {}], {}),
            ("No essential", [{"essential": False}], {}),
            ("Unknown volume 'v'", [{"mountPoints": [{"sourceVolume": "v"}]}], {}),
            ("dependsOn", [{"dependsOn": [{"containerName": "two", "condition": "START"}]}], {}),
            ("must match", [{"portMappings": [{"containerPort": 1, "hostPort": 2}]}],
             {"networkMode": "host"}),
            ("containerPort should be between", [{"portMappings": [{"hostPort": 2}]}], {}),
            ("interval", [{"healthCheck": {"command": ["CMD", "true"], "interval": 1}}], {}),
            ("Invalid value 'many'", [{}], {"networkMode": "many"}),
            ("Invalid placement constraint", [{}], {"placementConstraints": [
                {"type": "memberOf", "expression": "attribute:x =="}]}),
            ("Invalid 'cpu'", [{}], {"cpu": "much"}),
            ("Container list cannot be empty", [], {})):
        definitions = [{k: v for k, v in container(**c).items() if v is not None}
                       for c in containers]
        code, message = plane.error_of(ecs.register_task_definition, family="wrong",
                                       containerDefinitions=definitions, **more)
        assert code in ("ClientException", "InvalidParameterException"), (code, message)
        assert words in message, (words, message)
    assert "wrong" not in ecs.list_task_definition_families()["families"]


def test_task_definition_life(agent, ecs):
    """Revisions, status, listing, tags, deregistering and deleting."""
    tags = [{"key": "team", "value": "shop"}]
    one = register(ecs, "life", tags=tags, taskRoleArn="arn:aws:iam::0:role/r")
    two = register(ecs, "life")
    assert one.endswith("task-definition/life:1") and two.endswith("task-definition/life:2")
    d = ecs.describe_task_definition(taskDefinition="life:1", include=["TAGS"])
    assert d["tags"] == tags and d["taskDefinition"]["status"] == "ACTIVE"
    assert "com.amazonaws.ecs.capability.task-iam-role" in [
        a["name"] for a in d["taskDefinition"]["requiresAttributes"]]
    assert ecs.describe_task_definition(taskDefinition="life")["taskDefinition"]["revision"] == 2
    listed = ecs.list_task_definitions(familyPrefix="life", sort="DESC")["taskDefinitionArns"]
    assert listed == [two, one]
    code, message = plane.error_of(ecs.deregister_task_definition, taskDefinition="life")
    assert code == "ClientException"
    d = ecs.deregister_task_definition(taskDefinition="life:2")["taskDefinition"]
    assert d["status"] == "INACTIVE" and "deregisteredAt" in d
    assert ecs.describe_task_definition(taskDefinition="life")["taskDefinition"]["revision"] == 1
    code, message = plane.error_of(ecs.run_task, taskDefinition="life:2")
    assert code == "ClientException" and "inactive" in message
    assert ecs.list_task_definitions(familyPrefix="life", status="INACTIVE")[
        "taskDefinitionArns"] == [two]
    status, answer = plane.raw(agent, "DeleteTaskDefinitions",
                               {"taskDefinitions": [one, two, "life:9"]})
    assert [d["status"] for d in answer["taskDefinitions"]] == ["DELETE_IN_PROGRESS"]
    assert len(answer["failures"]) == 2
    assert register(ecs, "life").endswith(":3")
    wait_for("the deleted revision is gone", lambda: plane.raw(
        agent, "DescribeTaskDefinition", {"taskDefinition": two})[0] == 400)


def test_clusters(ecs):
    """Create again is the same; delete is refused while there is something in it."""
    assert ecs.create_cluster(clusterName="shop", tags=[{"key": "a", "value": "b"}])["cluster"][
        "status"] == "ACTIVE"
    arn = ecs.create_cluster(clusterName="shop")["cluster"]["clusterArn"]
    r = ecs.describe_clusters(clusters=["shop", "none"], include=["TAGS", "SETTINGS"])
    assert r["clusters"][0]["tags"] == [{"key": "a", "value": "b"}]
    assert r["failures"][0]["reason"] == "MISSING"
    arns, count = plane.pages(ecs, "list_clusters", "clusterArns",
                              PaginationConfig={"PageSize": 1})
    assert arn in arns and count >= 2
    code, _ = plane.error_of(ecs.delete_cluster, cluster="default")
    assert code == "ClusterContainsContainerInstancesException"
    d = register(ecs, "elsewhere")
    code, message = plane.error_of(ecs.run_task, cluster="shop", taskDefinition=d)
    assert (code, message) == ("InvalidParameterException",
                               "No Container Instances were found in your cluster.")
    ecs.create_service(cluster="shop", serviceName="s", taskDefinition=d, desiredCount=1)
    code, _ = plane.error_of(ecs.delete_cluster, cluster="shop")
    assert code == "ClusterContainsServicesException"
    wait_for("an event says why nothing runs", lambda: any(
        "No Container Instances" in e["message"] for e in ecs.describe_services(
            cluster="shop", services=["s"])["services"][0]["events"]))
    ecs.delete_service(cluster="shop", service="s", force=True)
    ecs.get_waiter("services_inactive").wait(cluster="shop", services=["s"],
                                             WaiterConfig={"Delay": 1})
    assert ecs.delete_cluster(cluster="shop")["cluster"]["status"] == "INACTIVE"
    assert plane.error_of(ecs.list_tasks, cluster="shop")[0] == "ClusterNotFoundException"
    assert arn not in ecs.list_clusters()["clusterArns"]


def test_tags_and_attributes(ecs):
    (i,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.tag_resource(resourceArn=i, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    ecs.tag_resource(resourceArn=i, tags=[{"key": "a", "value": "3"}])
    ecs.untag_resource(resourceArn=i, tagKeys=["b", "c"])
    assert ecs.list_tags_for_resource(resourceArn=i)["tags"] == [{"key": "a", "value": "3"}]
    assert ecs.describe_container_instances(containerInstances=[i])["containerInstances"][0][
        "tags"] == []
    for tags, words in (([{"key": "aws:x", "value": "1"}], "reserved"),
                        ([{"key": "k" * 129, "value": "1"}], "128"),
                        ([{"key": str(n), "value": ""} for n in range(51)], "50")):
        code, message = plane.error_of(ecs.tag_resource, resourceArn=i, tags=tags)
        assert code == "InvalidParameterException" and words in message
    assert plane.error_of(ecs.tag_resource, resourceArn=i + "x", tags=[])[0] == (
        "InvalidParameterException")

    ecs.put_attributes(attributes=[{"name": "stack", "value": "prod", "targetId": i},
                                   {"name": "ssd", "targetId": i.split("/")[-1],
                                    "targetType": "container-instance"}])
    assert ecs.list_attributes(targetType="container-instance", attributeName="stack")[
        "attributes"] == [{"name": "stack", "value": "prod", "targetId": i,
                           "targetType": "container-instance"}]
    found, count = plane.pages(ecs, "list_attributes", "attributes",
                               targetType="container-instance", PaginationConfig={"PageSize": 5})
    names = [a["name"] for a in found]
    assert count > 2 and len(names) == len(set(names)) and "ecs.os-type" in names
    d = ecs.describe_container_instances(containerInstances=[i])["containerInstances"][0]
    assert d["status"] == "ACTIVE" and d["agentConnected"]
    for expression, hits in (("attribute:stack == prod", 1), ("attribute:ssd exists", 1),
                             ("attribute:stack in [dev, test]", 0), ("agentConnected == true", 1),
                             ("not(attribute:stack =~ pr.*) or runningTasksCount > 1000", 0)):
        assert len(ecs.list_container_instances(filter=expression)[
            "containerInstanceArns"]) == hits, expression
    code, message = plane.error_of(ecs.list_container_instances, filter="stack == prod")
    assert code == "InvalidParameterException" and "subject" in message
    assert plane.error_of(ecs.put_attributes, attributes=[
        {"name": "a", "targetId": "0" * 32}])[0] == "TargetNotFoundException"
    assert plane.error_of(ecs.put_attributes, attributes=[
        {"name": "ecs.os-type", "value": "dos", "targetId": i}])[0] == "InvalidParameterException"
    ecs.delete_attributes(attributes=[{"name": "stack", "targetId": i}])
    assert ecs.list_attributes(targetType="container-instance", attributeName="stack")[
        "attributes"] == []


# ---- tasks ----

def test_placement_and_its_failures(ecs):
    """Constraints, host ports and resources decide; a failure has ECS's reason and the instance."""
    (i,) = ecs.list_container_instances()["containerInstanceArns"]
    for reason, c, more in (
            ("RESOURCE:CPU", {"cpu": 10 ** 6}, {}), ("RESOURCE:MEMORY", {"memory": 10 ** 7}, {}),
            ("MemberOf placement constraint unsatisfied.", {}, {"placementConstraints": [
                {"type": "memberOf", "expression": "attribute:stack == nowhere"}]})):
        r = ecs.run_task(taskDefinition=register(ecs, "tight", c), **more)
        assert r["tasks"] == [] and r["failures"][0]["arn"] == i
        assert r["failures"][0]["reason"] == reason, r
    r = ecs.run_task(taskDefinition=register(ecs, "plugin", volumes=[
        {"name": "v", "dockerVolumeConfiguration": {"driver": "nosuch"}}]))
    assert r["failures"][0]["reason"] == "ATTRIBUTE"
    assert "ecs.capability.docker-plugin.nosuch" in r["failures"][0]["detail"]
    port = register(ecs, "port", {"portMappings": [{"containerPort": 80, "hostPort": 18080}]})
    r = ecs.run_task(taskDefinition=port, count=2)
    assert len(r["tasks"]) == 1 and r["failures"][0]["reason"] == "RESOURCE:PORTS"
    d = ecs.describe_container_instances(containerInstances=[i])["containerInstances"][0]
    remaining = {r["name"]: r for r in d["remainingResources"]}
    total = {r["name"]: r for r in d["registeredResources"]}
    assert "18080" in remaining["PORTS"]["stringSetValue"]
    assert "18080" not in total["PORTS"]["stringSetValue"]
    assert total["MEMORY"]["integerValue"] - remaining["MEMORY"]["integerValue"] == 16
    arn = r["tasks"][0]["taskArn"]
    distinct = [{"type": "distinctInstance"}]
    r = ecs.run_task(taskDefinition=register(ecs, "apart"), count=2,
                     placementConstraints=distinct, placementStrategy=[
                         {"type": "spread", "field": "attribute:ecs.availability-zone"},
                         {"type": "binpack", "field": "memory"}])
    assert len(r["tasks"]) == 1
    assert r["failures"][0]["reason"].startswith("DistinctInstance")
    r2 = ecs.start_task(taskDefinition=port, containerInstances=[i, "0" * 32])
    assert sorted(f["reason"] for f in r2["failures"]) == ["MISSING", "RESOURCE:PORTS"]
    code, message = plane.error_of(ecs.run_task, taskDefinition=port, placementStrategy=[
        {"type": "binpack", "field": "disk"}])
    assert code == "InvalidParameterException" and "disk" in message
    stop_all(ecs, [arn, r["tasks"][0]["taskArn"]])
    d = ecs.describe_container_instances(containerInstances=[i])["containerInstances"][0]
    remaining = {r["name"]: r for r in d["remainingResources"]}
    assert "18080" not in remaining["PORTS"]["stringSetValue"]
    assert remaining["MEMORY"]["integerValue"] == total["MEMORY"]["integerValue"]


def test_overrides_tags_and_tokens(agent, ecs):
    """Overrides reach Docker and the record; tags follow their rules; a repeated clientToken makes
    no second task."""
    d = register(ecs, "over", {"environment": [{"name": "A", "value": "1"}]},
                 tags=[{"key": "from", "value": "definition"}])
    wanted = dict(
        taskDefinition=d, clientToken="t-1", startedBy="me", group="batch",
        enableECSManagedTags=True, propagateTags="TASK_DEFINITION",
        tags=[{"key": "own", "value": "1"}],
        overrides={"taskRoleArn": "arn:aws:iam::0:role/other", "containerOverrides": [
            {"name": "one", "command": ["sleep", "601"], "memory": 32, "cpu": 7,
             "environment": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]}]})
    # by hand: old clients have no clientToken
    (t,) = plane.raw(agent, "RunTask", wanted)[1]["tasks"]
    assert [x["taskArn"] for x in plane.raw(agent, "RunTask", wanted)[1]["tasks"]] == [
        t["taskArn"]]
    assert plane.raw(agent, "RunTask", {**wanted, "count": 2})[1]["__type"] == "ConflictException"
    assert t["cpu"] == "7" and t["memory"] == "32" and t["group"] == "batch"
    assert t["overrides"]["containerOverrides"][0]["command"] == ["sleep", "601"]
    (t,) = wait_tasks(ecs, "RUNNING", t["taskArn"])
    assert t["tags"] == []
    (t,) = ecs.describe_tasks(tasks=[t["taskArn"]], include=["TAGS"])["tasks"]
    assert {x["key"]: x["value"] for x in t["tags"]} == {
        "from": "definition", "own": "1", "aws:ecs:clusterName": "default"}
    assert t["createdAt"] <= t["startedAt"] and t["version"] > 1
    docker = json.loads(agent.host.docker("inspect", t["containers"][0]["runtimeId"]))[0]
    assert docker["Config"]["Cmd"] == ["sleep", "601"]
    assert docker["HostConfig"]["Memory"] == 32 << 20 and docker["HostConfig"]["CpuShares"] == 7
    assert {"A=2", "B=3"} <= set(docker["Config"]["Env"])
    code, message = plane.error_of(ecs.run_task, taskDefinition=d, overrides={
        "containerOverrides": [{"name": "two"}]})
    assert "Override for container named two is not a container in the TaskDefinition" in message
    stop_all(ecs, [t["taskArn"]])
    ((t),) = ecs.describe_tasks(tasks=[t["taskArn"]])["tasks"]
    assert (t["stopCode"], t["stoppedReason"]) == ("UserInitiated", "Task stopped by user")


def test_stop_codes_and_reasons(ecs):
    """As ECS words them."""
    ends = register(ecs, "ends", {"command": ["sh", "-c", "sleep 1; exit 3"]})
    fails = register(ecs, "fails", {"command": ["/nonexistent"]})
    a, b = (ecs.run_task(taskDefinition=d)["tasks"][0]["taskArn"] for d in (ends, fails))
    ecs.get_waiter("tasks_stopped").wait(tasks=[a, b], WaiterConfig={"Delay": 1})
    t, u = (ecs.describe_tasks(tasks=[x])["tasks"][0] for x in (a, b))
    assert (t["stopCode"], t["stoppedReason"]) == ("EssentialContainerExited",
                                                   "Essential container in task exited")
    assert t["containers"][0]["exitCode"] == 3
    assert (u["stopCode"], u["stoppedReason"]) == ("TaskFailedToStart", "Task failed to start")
    assert u["containers"][0]["reason"].startswith("CannotStartContainerError")


def test_list_tasks_pages_and_filters(agent, ecs):
    (i,) = ecs.list_container_instances()["containerInstanceArns"]
    d = register(ecs, "listed")
    arns = [t["taskArn"] for t in ecs.run_task(taskDefinition=d, count=5, startedBy="lister")[
        "tasks"]]
    found, count = plane.pages(ecs, "list_tasks", "taskArns", family="listed",
                               PaginationConfig={"PageSize": 2})
    assert sorted(found) == sorted(arns) and count == 3
    for filters, n in (({"startedBy": "lister"}, 5), ({"startedBy": "you"}, 0),
                       ({"containerInstance": i, "family": "listed"}, 5),
                       ({"family": "liste"}, 0), ({"family": "listed", "launchType": "EC2"}, 5),
                       ({"family": "listed", "launchType": "FARGATE"}, 0),
                       ({"family": "listed", "desiredStatus": "STOPPED"}, 0)):
        assert len(ecs.list_tasks(**filters)["taskArns"]) == n, filters
    for arguments, code in (({"maxResults": 101}, "InvalidParameterException"),
                            ({"nextToken": "nonsense"}, "InvalidParameterException"),
                            ({"serviceName": "none"}, "ServiceNotFoundException"),
                            ({"containerInstance": "0" * 32}, "InvalidParameterException")):
        assert plane.error_of(ecs.list_tasks, **arguments)[0] == code, arguments
    r = ecs.describe_tasks(tasks=[arns[0], "0" * 32])
    assert r["failures"][0]["reason"] == "MISSING" and len(r["tasks"]) == 1
    stop_all(ecs, arns)


def test_stopped_tasks_are_forgotten_after_an_hour(agent, ecs):
    """Nothing grows without bound: an hour is a tenth of it here (--time-scale)."""
    (t,) = ecs.run_task(taskDefinition=register(ecs, "old", {"command": ["true"]}))["tasks"]
    wait_tasks(ecs, "STOPPED", t["taskArn"])
    path = agent.data / "local" / "local.db"
    with sqlite3.connect(path, timeout=30) as db:
        ((before,),) = db.execute("SELECT count(*) FROM object WHERE kind = 2 AND arn = ?",
                                  (t["taskArn"],))
        db.execute("UPDATE object SET body = json_set(body, '$.stoppedAt', ?) WHERE arn = ?",
                   (time.time() - 4000, t["taskArn"]))
    db.close()
    assert before == 1
    agent.ctl("restart", "local")
    wait_for("the task is forgotten", lambda: ecs.describe_tasks(tasks=[t["taskArn"]])[
        "failures"], 30, agent.logs)
    with sqlite3.connect(path, timeout=30) as db:
        assert db.execute("SELECT count(*) FROM object WHERE arn = ?",
                          (t["taskArn"],)).fetchone() == (0,)
    db.close()
    agent.wait_connected()
