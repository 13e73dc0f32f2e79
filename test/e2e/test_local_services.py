"""Services of the local control plane: kept at their count, replaced in a rolling way, rolled back.
With real containers; with stand-in instances where several are needed."""
import json
import os
import signal
import threading
import time

import pytest

import plane
from plane import agent, ecs  # noqa: F401  (fixtures)
from conftest import LONG, wait_for
from stand_in_agent import StandIn


def register(ecs, family, command=("sleep", "600"), **more):
    r = ecs.register_task_definition(family=family, containerDefinitions=[
        {"name": "one", "image": "ecs-hello:latest", "memory": 16, "command": list(command),
         "stopTimeout": 2, **more}])
    return r["taskDefinition"]["taskDefinitionArn"]


def describe(ecs, name):
    (s,) = ecs.describe_services(services=[name])["services"]
    return s


def wait_service(ecs, name, what, condition, seconds=60):
    def reached():
        s = describe(ecs, name)
        return s if condition(s) else None
    return wait_for(f"service {name}: {what}", reached, seconds,
                    lambda: json.dumps(describe(ecs, name), default=str, indent=1))


def is_steady(s):
    return (len(s["deployments"]) == 1 and s["runningCount"] == s["desiredCount"] and
            s["pendingCount"] == 0 and s["deployments"][0]["rolloutState"] == "COMPLETED")


def delete(ecs, name):
    ecs.delete_service(service=name, force=True)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig={"Delay": 1})


def messages(s):
    return [e["message"] for e in s["events"]]


def tasks_of(ecs, name, status="RUNNING"):
    arns = ecs.list_tasks(serviceName=name, desiredStatus=status)["taskArns"]
    return ecs.describe_tasks(tasks=arns)["tasks"] if arns else []


def test_a_service_keeps_its_count(agent, ecs):
    """Up, down, a container killed, a task stopped, the control plane killed: always the count."""
    d = register(ecs, "web")
    s = ecs.create_service(serviceName="web", taskDefinition="web", desiredCount=2,
                           enableECSManagedTags=True)["service"]
    assert s["status"] == "ACTIVE" and s["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert s["deploymentConfiguration"]["maximumPercent"] == 200
    code, message = plane.error_of(ecs.create_service, serviceName="web", taskDefinition=d,
                                   desiredCount=1)
    assert (code, message) == ("InvalidParameterException",
                               "Creation of service was not idempotent.")
    ecs.get_waiter("services_stable").wait(services=["web"], WaiterConfig={"Delay": 1})
    s = wait_service(ecs, "web", "is steady", is_steady)
    started = [m for m in messages(s) if "has started 2 tasks: (task " in m]
    assert started and "(service web) has reached a steady state." in messages(s)
    first, second = tasks_of(ecs, "web")
    assert first["group"] == "service:web"
    assert first["startedBy"] == s["deployments"][0]["id"]
    # a container that dies and a task that is stopped are replaced
    agent.host.docker("kill", first["containers"][0]["runtimeId"])
    ecs.stop_task(task=second["taskArn"])
    wait_for("both are replaced", lambda: not {first["taskArn"], second["taskArn"]} & {
        t["taskArn"] for t in tasks_of(ecs, "web")} and is_steady(describe(ecs, "web")), 60)
    ecs.update_service(service="web", desiredCount=3)
    wait_service(ecs, "web", "has three", lambda s: s["runningCount"] == 3)
    # the plane may be killed at any time
    ecs.update_service(service="web", desiredCount=1)
    os.kill(agent.pid("local"), signal.SIGKILL)
    agent.wait_connected()
    s = wait_service(ecs, "web", "has one",
                     lambda s: s["runningCount"] == 1 and s["pendingCount"] == 0)
    assert s["desiredCount"] == 1
    stopped = [t for t in tasks_of(ecs, "web", "STOPPED")
               if t.get("stopCode") == "ServiceSchedulerInitiated"]
    assert len(stopped) == 2
    assert {t["stoppedReason"] for t in stopped} == {
        f"Scaling activity initiated by (deployment {s['deployments'][0]['id']})"}
    code, message = plane.error_of(ecs.delete_service, service="web")
    assert message == "The service cannot be stopped while it is scaled above 0."
    ecs.update_service(service="web", desiredCount=0)
    assert ecs.delete_service(service="web")["service"]["status"] == "DRAINING"
    ecs.get_waiter("services_inactive").wait(services=["web"], WaiterConfig={"Delay": 1})
    assert tasks_of(ecs, "web") == []
    assert plane.error_of(ecs.update_service, service="web", desiredCount=1)[0] == (
        "ServiceNotActiveException")
    assert "service/default/web" not in str(ecs.list_services()["serviceArns"])


def test_rolling_replacement_never_serves_with_less(agent, ecs, host):
    """minimumHealthyPercent 100: while one revision replaces the other two tasks always run."""
    register(ecs, "roll")
    ecs.create_service(serviceName="roll", taskDefinition="roll", desiredCount=2)
    wait_service(ecs, "roll", "is steady", is_steady)
    old = {t["taskArn"] for t in tasks_of(ecs, "roll")}
    least, most, stop = [99], [0], threading.Event()

    def watch():
        with plane.inside(host):
            other = plane.client(agent)
            while not stop.is_set():
                s = describe(other, "roll")
                least[0] = min(least[0], s["runningCount"])
                most[0] = max(most[0], s["runningCount"] + s["pendingCount"])
                time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        new = register(ecs, "roll", ("sleep", "601"))
        s = ecs.update_service(service="roll", taskDefinition="roll")["service"]
        assert [d["status"] for d in s["deployments"]] == ["PRIMARY", "ACTIVE"]
        s = wait_service(ecs, "roll", "is replaced", is_steady)
    finally:
        stop.set()
        watcher.join()
    assert least[0] >= 2 and most[0] <= 4, (least, most)
    assert s["taskDefinition"] == new and s["deployments"][0]["taskDefinition"] == new
    now = tasks_of(ecs, "roll")
    assert {t["taskDefinitionArn"] for t in now} == {new}
    assert not old & {t["taskArn"] for t in now}
    # the same again only by force
    assert len(ecs.update_service(service="roll", taskDefinition=new)["service"][
        "deployments"]) == 1
    ecs.update_service(service="roll", forceNewDeployment=True)
    wait_service(ecs, "roll", "is replaced again", is_steady)
    assert not {t["taskArn"] for t in now} & {t["taskArn"] for t in tasks_of(ecs, "roll")}
    delete(ecs, "roll")


def test_the_circuit_breaker_rolls_back(agent, ecs):
    """Three failed starts: FAILED, and back to what worked, which has run all the time."""
    good = register(ecs, "fuse")
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    ecs.create_service(serviceName="fuse", taskDefinition=good, desiredCount=1,
                       deploymentConfiguration=breaker)
    wait_service(ecs, "fuse", "is steady", is_steady)
    (serving,) = tasks_of(ecs, "fuse")
    bad = register(ecs, "fuse", ("/nonexistent",))
    s = ecs.update_service(service="fuse", taskDefinition=bad)["service"]
    failed = s["deployments"][0]["id"]
    s = wait_service(ecs, "fuse", "is rolled back",
                     lambda s: is_steady(s) and s["taskDefinition"] == good)
    assert any(f"(deployment {failed}) deployment failed: tasks failed to start." in m
               for m in messages(s)), messages(s)
    assert any("rolling back to deployment ecs-svc/" in m for m in messages(s))
    bad_tasks = [t for t in tasks_of(ecs, "fuse", "STOPPED") if t["taskDefinitionArn"] == bad]
    assert len(bad_tasks) == 3
    assert {t["stopCode"] for t in bad_tasks} == {"TaskFailedToStart"}
    (t,) = ecs.describe_tasks(tasks=[serving["taskArn"]])["tasks"]
    (now,) = tasks_of(ecs, "fuse")
    assert now["createdAt"] > serving["createdAt"] and now["taskDefinitionArn"] == good
    delete(ecs, "fuse")


def test_a_crash_loop_is_slowed_down_and_not_healthy(agent, ecs):
    """Without a breaker: what exits right after its start never replaces what works, and its starts
    get rarer."""
    i = StandIn(agent, lambda task: ["RUNNING", "STOPPED"][:int(task["version"])],
                attributes=[{"name": "loop"}])
    good, bad = register(ecs, "loop"), register(ecs, "loop")
    ecs.create_service(serviceName="loop", taskDefinition=good, desiredCount=1,
                       placementConstraints=[{"type": "memberOf",
                                              "expression": "attribute:loop exists"}])
    wait_service(ecs, "loop", "is steady", is_steady)
    (serving,) = tasks_of(ecs, "loop")
    ecs.update_service(service="loop", taskDefinition=bad)
    s = wait_service(ecs, "loop", "has failed thrice",
                     lambda s: s["deployments"][0]["failedTasks"] >= 3)
    assert s["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    s = wait_service(ecs, "loop", "tells it", lambda s: any(
        "is unable to consistently start tasks successfully." in m for m in messages(s)))
    wait_service(ecs, "loop", "tries again later",
                 lambda s: s["deployments"][0]["failedTasks"] >= 4)
    created = sorted(t["createdAt"] for t in tasks_of(ecs, "loop", "STOPPED"))
    assert (created[3] - created[2]).total_seconds() >= 1   # 10 s by the scale
    (t,) = ecs.describe_tasks(tasks=[serving["taskArn"]])["tasks"]
    assert t["lastStatus"] == t["desiredStatus"] == "RUNNING"
    delete(ecs, "loop")
    i.close()
    ecs.deregister_container_instance(containerInstance=i.arn, force=True)


# ---- several instances ----

@pytest.fixture
def instances(agent, ecs):
    """Three instances beside the real one, of which one is in another rack."""
    rack = [{"name": "rack", "value": v} for v in ("a", "a", "b")]
    made = [StandIn(agent, attributes=[r]) for r in rack]
    yield made
    for i in made:
        i.close()
        if i.arn in ecs.list_container_instances()["containerInstanceArns"]:
            ecs.deregister_container_instance(containerInstance=i.arn, force=True)


RACKED = [{"type": "memberOf", "expression": "attribute:rack exists"}]


def placed(ecs, tasks):
    found = ecs.describe_tasks(tasks=[t["taskArn"] for t in tasks])["tasks"]
    return sorted(t["containerInstanceArn"] for t in found)


def test_tasks_are_spread_and_packed(ecs, instances):
    d = register(ecs, "many")
    a, b, c = (i.arn for i in instances)
    r = ecs.run_task(taskDefinition=d, count=3, placementConstraints=[*RACKED, {
        "type": "distinctInstance"}])
    assert placed(ecs, r["tasks"]) == sorted([a, b, c]) and r["failures"] == []
    r = ecs.run_task(taskDefinition=d, count=1, placementConstraints=[*RACKED, {
        "type": "distinctInstance"}])
    assert {f["arn"] for f in r["failures"]} >= {a, b, c} and r["tasks"] == []
    r = ecs.run_task(taskDefinition=d, count=4, group="packed", placementConstraints=RACKED,
                     placementStrategy=[{"type": "binpack", "field": "memory"}])
    assert len(set(placed(ecs, r["tasks"]))) == 1
    r = ecs.run_task(taskDefinition=d, count=4, group="spread", placementConstraints=RACKED,
                     placementStrategy=[{"type": "spread", "field": "attribute:rack"},
                                        {"type": "spread", "field": "instanceId"}])
    assert placed(ecs, r["tasks"]) == sorted([a, b, c, c])
    assert len(ecs.list_tasks(containerInstance=c)["taskArns"]) >= 3
    big = register(ecs, "big", memory=600)
    r = ecs.run_task(taskDefinition=big, count=4, placementConstraints=RACKED)
    assert len(r["tasks"]) == 3
    assert {f["reason"] for f in r["failures"]} >= {"RESOURCE:MEMORY"}


def test_draining_moves_service_tasks(agent, ecs, instances):
    """Drained: service tasks are replaced elsewhere before they stop; other tasks stay; nothing new
    is placed there."""
    ecs.create_service(serviceName="moved", taskDefinition=register(ecs, "moved"), desiredCount=3,
                       placementConstraints=RACKED)
    wait_service(ecs, "moved", "is steady", is_steady)
    assert len(set(placed(ecs, tasks_of(ecs, "moved")))) == 3
    left = instances[0].arn
    alone = ecs.start_task(taskDefinition="moved", containerInstances=[left])["tasks"][0]
    r = ecs.update_container_instances_state(containerInstances=[left, "0" * 32],
                                             status="DRAINING")
    assert r["containerInstances"][0]["status"] == "DRAINING"
    assert r["failures"][0]["reason"] == "MISSING"
    assert ecs.list_container_instances(status="DRAINING")["containerInstanceArns"] == [left]
    s = wait_service(ecs, "moved", "has moved", lambda s: is_steady(s) and left not in placed(
        ecs, tasks_of(ecs, "moved")))
    assert s["runningCount"] == 3
    (t,) = ecs.describe_tasks(tasks=[alone["taskArn"]])["tasks"]
    assert t["lastStatus"] == "RUNNING"
    assert ecs.start_task(taskDefinition="moved", containerInstances=[left])["failures"][0][
        "reason"] == "INACTIVE"
    code, message = plane.error_of(ecs.deregister_container_instance, containerInstance=left)
    assert (code, message) == ("InvalidParameterException",
                               "Found running tasks on the instance.")
    ecs.update_container_instances_state(containerInstances=[left], status="ACTIVE")
    # an instance that is deregistered takes its tasks along, and its agent is turned away
    lost = instances[2].arn
    i = ecs.deregister_container_instance(containerInstance=lost, force=True)["containerInstance"]
    assert i["status"] == "INACTIVE"
    instances[2].thread.join(10)
    with pytest.raises(AssertionError, match="InactiveInstanceException"):
        instances[2].connect()
    wait_service(ecs, "moved", "is whole without the lost instance", lambda s: is_steady(
        s) and lost not in placed(ecs, tasks_of(ecs, "moved")))
    delete(ecs, "moved")
    ecs.stop_task(task=alone["taskArn"])


def test_breaker_without_rollback_stops_trying(agent, ecs):
    """FAILED is final: nothing more is started, what runs stays."""
    fails = StandIn(agent, lambda task: ["STOPPED"], attributes=[{"name": "broken"}])
    ecs.create_service(
        serviceName="broken", taskDefinition=register(ecs, "broken"), desiredCount=8,
        placementConstraints=[{"type": "memberOf", "expression": "attribute:broken exists"}],
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}})
    s = wait_service(ecs, "broken", "has failed",
                     lambda s: s["deployments"][0]["rolloutState"] == "FAILED")
    assert s["deployments"][0]["rolloutStateReason"] == (
        "ECS deployment circuit breaker: tasks failed to start.")
    failed_at = s["deployments"][0]["updatedAt"]
    wait_service(ecs, "broken", "is quiet", lambda s: s["pendingCount"] == 0)
    tried = tasks_of(ecs, "broken", "STOPPED")
    assert len(tried) >= 8 and all(t["createdAt"] <= failed_at for t in tried)
    delete(ecs, "broken")
    fails.close()
    ecs.deregister_container_instance(containerInstance=fails.arn, force=True)


def test_waiters_and_paginators_of_the_cli(agent, ecs):
    """The aws CLI: wait tasks-running, services-stable, tasks-stopped, services-inactive; pages. Each
    is waited for first: the CLI itself looks again only after 6 to 15 s."""
    register(ecs, "cli")
    ecs.create_service(serviceName="cli", taskDefinition="cli", desiredCount=1)
    wait_service(ecs, "cli", "is steady", is_steady)
    agent.aws("wait", "services-stable", "--services", "cli")
    (arn,) = agent.aws("list-tasks", "--service-name", "cli", "--page-size", "1")["taskArns"]
    agent.aws("wait", "tasks-running", "--tasks", arn)
    agent.aws("delete-service", "--service", "cli", "--force")
    wait_service(ecs, "cli", "is gone", lambda s: s["status"] == "INACTIVE")
    agent.aws("wait", "services-inactive", "--services", "cli")
    agent.aws("wait", "tasks-stopped", "--tasks", arn)


def test_thousands_of_tasks(agent, ecs):
    """Many task records (500; 5,000 with ECS_TEST_LONG=1): counts, lists and pages hold, and a request
    among them takes no longer than ten times what it took among few."""
    def seconds(call, **arguments):
        took = []
        for _ in range(5):
            start = time.monotonic()
            call(**arguments)
            took.append(time.monotonic() - start)
        return min(took)

    total = 5000 if LONG else 500
    i = StandIn(agent, memory=total * 16, attributes=[{"name": "wide"}])
    d = register(ecs, "mass", cpu=0)
    where = {"taskDefinition": d, "placementConstraints": [
        {"type": "memberOf", "expression": "attribute:wide exists"}]}
    few = seconds(ecs.run_task, **where)
    for _ in range((total - 5) // 10):
        assert ecs.run_task(**where, count=10)["failures"] == []
    many = seconds(ecs.run_task, **where)
    found, pages = plane.pages(ecs, "list_tasks", "taskArns", family="mass")
    assert len(found) == total // 10 * 10 == len(set(found)) and pages == total // 100
    (shown,) = ecs.describe_container_instances(containerInstances=[i.arn])["containerInstances"]
    remaining = {r["name"]: r.get("integerValue") for r in shown["remainingResources"]}
    assert remaining["MEMORY"] == 0
    assert ecs.run_task(**where)["failures"][-1]["reason"] == "RESOURCE:MEMORY"
    print(f"run-task among few {few * 1000:.1f} ms, among {total} {many * 1000:.1f} ms")
    assert many < few * 10 + 0.05, (few, many)
    i.close()
    ecs.deregister_container_instance(containerInstance=i.arn, force=True)
