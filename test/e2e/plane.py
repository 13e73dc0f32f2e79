"""A boto3 client for the local control plane, from within the test, with answers held against the
service model: botocore ignores members it does not know; here they fail."""
import contextlib
import ctypes
import http.client
import json
import threading

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.parsers
import pytest

from conftest import Agent

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SCALARS = {"string": str, "integer": int, "long": int, "boolean": bool, "double": (int, float),
           "float": (int, float), "timestamp": (int, float)}


@contextlib.contextmanager
def inside(host):
    """This thread's new sockets are made in the host's network namespace."""
    with open(f"/proc/self/task/{threading.get_native_id()}/ns/net") as home, \
            open(f"/run/netns/{host.name}") as there:
        enter(there)
        try:
            yield
        finally:
            enter(home)


def enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def strict(shape, value, path="answer"):
    """value is what the model says: no unknown member, right types, known enum values."""
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), f"{path}: {value!r} is no structure"
        for key, member in value.items():
            assert key in shape.members, f"{path}.{key} is not in {shape.name}"
            strict(shape.members[key], member, f"{path}.{key}")
    elif kind == "list":
        assert isinstance(value, list), f"{path}: {value!r} is no list"
        for i, member in enumerate(value):
            strict(shape.member, member, f"{path}[{i}]")
    elif kind == "map":
        assert isinstance(value, dict), f"{path}: {value!r} is no map"
        for key, member in value.items():
            strict(shape.value, member, f"{path}.{key}")
    else:
        right = isinstance(value, SCALARS[kind]) and (kind == "boolean") == isinstance(value, bool)
        assert right, f"{path}: {value!r} is no {kind}"
        if getattr(shape, "enum", None):
            assert value in shape.enum, f"{path}: {value!r} is not one of {shape.enum}"


class StrictParser(botocore.parsers.JSONParser):
    def _do_parse(self, response, shape):
        if shape is not None and response["status_code"] < 300:
            strict(shape, self._parse_body_as_json(response["body"]))
        return super()._do_parse(response, shape)


def client(agent, profile="default"):
    key, secret = agent.keys(profile)
    c = boto3.client("ecs", endpoint_url="http://127.0.0.1:51670", region_name="us-east-1",
                     aws_access_key_id=key, aws_secret_access_key=secret,
                     config=botocore.config.Config(retries={"max_attempts": 0}))
    c._endpoint._response_parser_factory.set_parser_defaults()
    c._endpoint._response_parser_factory.create_parser = lambda protocol: StrictParser()
    return c


def raw(agent, operation, body, profile="default"):
    """A signed request without a client's help: status and parsed answer."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    r = botocore.awsrequest.AWSRequest(
        "POST", "http://127.0.0.1:51670/", data=text,
        headers={"X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}",
                 "Content-Type": "application/x-amz-json-1.1"})
    keys = botocore.credentials.Credentials(*agent.keys(profile))
    botocore.auth.SigV4Auth(keys, "ecs", "us-east-1").add_auth(r)
    connection = http.client.HTTPConnection("127.0.0.1", 51670, timeout=30)
    connection.request("POST", "/", text, dict(r.headers))
    answer = connection.getresponse()
    parsed = json.loads(answer.read())
    connection.close()
    return answer.status, parsed


def error_of(call, **arguments):
    """Code and message of the error a call must give."""
    try:
        answer = call(**arguments)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"], e.response["Error"]["Message"]
    raise AssertionError(f"no error: {answer}")


def pages(ecs, operation, key, **arguments):
    """What a paginator gives, and how many pages."""
    found, count = [], 0
    for page in ecs.get_paginator(operation).paginate(**arguments):
        found += page[key]
        count += 1
    return found, count


@pytest.fixture(scope="module")
def agent(host):
    """Its waits are a tenth: service tasks settle in 0.5 s, an hour is 6 minutes."""
    a = Agent(host, scale=10).start()
    yield a
    a.end()


@pytest.fixture
def ecs(agent, host):
    with inside(host):
        yield client(agent)
