"""What tests say to an agent over the local control plane, and what they look for in its record."""
from conftest import wait_for

ROLE = "arn:aws:iam::000000000000:role/"


def last(agent):
    entries = agent.record()
    return entries[-1]["number"] if entries else 0


def messages(agent, after=0, type=None):
    return [e["body"] for e in agent.record("message", "acs", after)
            if type in (None, e["body"]["type"])]


def wait_message(agent, after, type, seconds=15, **members):
    """A message the agent sent on ACS with these members."""
    return wait_for(f"{type} {members}", lambda: next(
        (m["message"] for m in messages(agent, after, type)
         if all(m["message"].get(k) == v for k, v in members.items())), None), seconds, agent.logs)


def submits(agent, arn, after=0, accepted=True):
    return [e for e in agent.record("call", "SubmitTaskStateChange", after)
            if e["body"]["task"] == arn and (not accepted or e.get("status") == 200)]


def registered(agent):
    """Cluster and instance, as the agent's calls name them."""
    (discover, *_) = agent.record("call", "DiscoverPollEndpoint")
    return {"clusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/default",
            "containerInstanceArn": discover["body"]["containerInstance"]}


def reported(agent, arn, status, after=0, seconds=40):
    """The body of the submit that says so."""
    return wait_for(f"{arn} is reported {status}", lambda: next(
        (s["body"] for s in submits(agent, arn, after, False) if s["body"]["status"] == status),
        None), seconds, agent.logs)


def send(agent, type, **message):
    agent.fault("send", "acs", type=type, message={**registered(agent), **message})


def task_arn(name):
    return f"arn:aws:ecs:us-east-1:000000000000:task/default/{name}"


def acs_task(name, command=("true",), **more):
    container = {"name": "one", "image": "ecs-hello:latest", "command": list(command), "cpu": 10,
                 "memory": 16, "essential": True, "stopTimeout": 1, **more.pop("container", {})}
    return {"arn": task_arn(name), "family": name, "version": "1", "desiredStatus": "RUNNING",
            "containers": [container], **more}


def credentials(name):
    return {"credentialsId": name, "roleArn": ROLE + name, "accessKeyId": "ASIA" + name,
            "secretAccessKey": "the-secret-of-" + name, "sessionToken": "the-token-of-" + name,
            "expiration": "2099-01-01T00:00:00Z"}
