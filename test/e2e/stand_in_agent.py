"""Container instances without a Docker behind them: they register, hold an ACS session and report
what a test wants of each task. For what needs several instances, or tasks that fail to order."""
import base64
import json
import os
import socket
import struct
import threading
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import plane

HOST, PORT = "127.0.0.1", 51670


class StandIn:
    """behaviour(task) → the statuses to report: ["RUNNING"], ["STOPPED"], [] …"""

    def __init__(self, agent, behaviour=lambda task: ["RUNNING"], memory=1000, attributes=()):
        self.agent, self.behaviour, self.memory = agent, behaviour, memory
        self.attributes = list(attributes)
        self.tasks = {}
        with plane.inside(agent.host):
            self.arn = self.register()
            self.socket = self.connect()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def call(self, operation, body):
        status, answer = plane.raw(self.agent, operation, body, "agent")
        assert status == 200, (operation, body, answer)
        return answer

    def register(self):
        resources = [{"name": n, "type": "INTEGER", "integerValue": v}
                     for n, v in (("CPU", 1000), ("MEMORY", self.memory))]
        resources += [{"name": n, "type": "STRINGSET", "stringSetValue": []}
                      for n in ("PORTS", "PORTS_UDP")]
        attributes = [{"name": "ecs.capability.container-ordering"}, *self.attributes]
        return self.call("RegisterContainerInstance", {
            "cluster": "default", "instanceIdentityDocument": "",
            "instanceIdentityDocumentSignature": "", "totalResources": resources,
            "attributes": attributes, "clientToken": os.urandom(8).hex()})[
                "containerInstance"]["containerInstanceArn"]

    def connect(self):
        query = urllib.parse.urlencode({"clusterArn": "default", "containerInstanceArn": self.arn,
                                        "sendCredentials": "true", "seqNum": 1},
                                       quote_via=urllib.parse.quote, safe="")
        r = botocore.awsrequest.AWSRequest("GET", f"http://{HOST}:{PORT}/ws?{query}")
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(*self.agent.keys("agent")),
                                "ecs", "us-east-1").add_auth(r)
        s = socket.create_connection((HOST, PORT))
        lines = [f"GET /ws?{query} HTTP/1.1", f"Host: {HOST}:{PORT}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
                 *(f"{k}: {v}" for k, v in r.headers.items())]
        s.sendall("\r\n".join(lines + ["", ""]).encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):   # what follows are frames
            answer += s.recv(1)
        assert b" 101 " in answer, s.recv(4096)
        return s

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def frame(self):
        head = self.read(2)
        length = head[1] & 127
        if length == 126:
            (length,) = struct.unpack(">H", self.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.read(8))
        return head[0] & 15, self.read(length)

    def send(self, kind, message):
        data = json.dumps({"type": kind, "message": message}).encode()
        mask = os.urandom(4)
        self.socket.sendall(struct.pack(">BBH", 0x81, 0xFE, len(data)) + mask +
                            bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def follow(self):
        with plane.inside(self.agent.host):
            try:
                while True:
                    opcode, data = self.frame()
                    message = json.loads(data) if opcode == 1 else {"type": ""}
                    if message["type"] == "PayloadMessage":
                        self.payload(message["message"])
            except (EOFError, OSError):
                pass

    def payload(self, message):
        self.send("AckRequest", {"cluster": "default", "containerInstance": self.arn,
                                 "messageId": message["messageId"]})
        for task in message["tasks"]:
            known = self.tasks.get(task["arn"])
            wanted = ["STOPPED"] if task["desiredStatus"] == "STOPPED" else self.behaviour(task)
            if known != "STOPPED":
                for status in wanted:
                    self.report(task, status)

    def report(self, task, status):
        self.tasks[task["arn"]] = status
        containers = [{"containerName": c["name"], "status": status,
                       **({"exitCode": 1} if status == "STOPPED" else {})}
                      for c in task["containers"]]
        self.call("SubmitTaskStateChange", {"cluster": "default", "task": task["arn"],
                                            "status": status, "containers": containers})

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:   # the control plane ended it
            pass
        self.thread.join(10)
        self.socket.close()
