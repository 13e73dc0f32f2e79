"""An agent far from its control plane, as in AWS: in a network namespace of its own, with TLS in
between and an instance metadata service (IMDS) of its own. The control plane is that of another
agent, whose engine and backend are stopped."""
import ctypes
import datetime
import http.server
import json
import select
import socket
import ssl
import subprocess
import threading

import pytest

import conftest
from conftest import Agent, run, wait_for
from wire import acs_task, last, reported, send, task_arn

PLANE_PORT = 51670
libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    """This thread alone, from now on."""
    with open(f"/run/netns/{namespace}") as f:
        if libc.setns(f.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def in_namespace(namespace, work):
    """Runs work() in a thread there; its result."""
    result = []

    def body():
        enter(namespace)
        result.append(work())
    t = threading.Thread(target=body)
    t.start()
    t.join()
    return result[0]


class Proxy:
    """127.0.0.1:port of one namespace to the control plane in another, with TLS or without."""

    def __init__(self, near, far, port, context=None):
        self.far, self.context, self.open = far, context, True

        def listen():
            s = socket.create_server(("127.0.0.1", port))
            s.settimeout(0.2)
            return s
        self.listener = in_namespace(near, listen)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        threads = []
        while self.open:
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=self.relay, args=(client,)))
            threads[-1].start()
        self.listener.close()
        for t in threads:
            t.join()

    def relay(self, client):
        enter(self.far)
        try:
            client.settimeout(5)
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            with client, socket.create_connection(("127.0.0.1", PLANE_PORT)) as server:
                self.pump(client, server)
        except OSError:
            client.close()

    def pump(self, client, server):
        while self.open:
            waiting = [client] if self.context and client.pending() else \
                select.select([client, server], [], [], 0.2)[0]
            for s in waiting:
                s.setblocking(False)
                try:
                    data = s.recv(65536)
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                finally:
                    s.settimeout(5)
                if not data:
                    return
                (server if s is client else client).sendall(data)

    def close(self):
        self.open = False
        self.thread.join()


class Imds:
    """169.254.169.254 of a namespace, strict about tokens; what it serves can be changed."""

    def __init__(self, namespace, pages, v2=True):
        self.pages, self.v2, self.log = pages, v2, []
        imds = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, status, text=""):
                imds.log.append((self.command, self.path, status))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self):
                ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
                if self.path != "/latest/api/token" or not imds.v2:
                    self.reply(403)
                elif not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
                    self.reply(400)
                else:
                    self.reply(200, "the-token")

            def do_GET(self):
                token = self.headers.get("X-aws-ec2-metadata-token")
                if imds.v2 and token != "the-token" or not imds.v2 and token:
                    self.reply(401)
                elif self.path in imds.pages:
                    self.reply(200, imds.pages[self.path])
                else:
                    self.reply(404)

            def log_message(self, *_):
                pass
        run("ip", "-n", namespace, "address", "replace", "169.254.169.254/32", "dev", "lo")
        self.server = in_namespace(namespace, lambda: http.server.ThreadingHTTPServer(
            ("169.254.169.254", 80), Handler))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Remote(Agent):
    """ecs-supervisor without --local."""

    def __init__(self, plane, namespace, **settings):
        super().__init__(plane.host, AWS_DEFAULT_REGION="us-east-1", **settings)
        self.namespace = namespace

    def start(self, ready=True):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.namespace}",
                 str(conftest.BIN / "ecs-supervisor")],
                stdout=out, stderr=out, env=self.environment, start_new_session=True)
        if ready:
            self.wait_connected()
        return self


def openssl(*argv):
    run("openssl", *argv)


def certificates(where, name):
    """An authority in a hashed directory, and a server certificate of it for that name."""
    where.mkdir(exist_ok=True)
    ca, key, pem = where / "ca.pem", where / f"{name}.key", where / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", where / "ca.key", "-out", ca, "-subj", "/CN=test authority", "-days", "2")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            key, "-out", where / "request", "-subj", f"/CN={name}")
    (where / "extensions").write_text(f"subjectAltName=DNS:{name}\n")
    openssl("x509", "-req", "-in", where / "request", "-CA", ca, "-CAkey", where / "ca.key",
            "-CAcreateserial", "-out", pem, "-days", "2", "-extfile", where / "extensions")
    hashed = where / "hashed"
    hashed.mkdir()
    (hashed / "ca.pem").write_text(ca.read_text())
    openssl("rehash", hashed)
    for p in [where, *where.rglob("*")]:
        p.chmod(0o755)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context, hashed, ca


@pytest.fixture(scope="module")
def plane(host):
    a = Agent(host).start()
    a.ctl("stop", "backend")
    a.ctl("stop", "engine")
    yield a
    assert a.stop() in (0, None), a.logs()


@pytest.fixture
def far(host):
    name = host.name + "-far"
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")
    yield name
    run("ip", "netns", "del", name)


@pytest.fixture
def open_things():
    """Closed in the reverse order, whatever happens."""
    things = []
    yield things
    for t in reversed(things):
        (t.stop if isinstance(t, Agent) else t.close)()
    for t in things:
        assert not isinstance(t, Agent) or "AddressSanitizer" not in t.log.read_text(), t.logs()


@pytest.fixture(autouse=True)
def no_faults(plane):
    yield
    plane.fault("clear")


def keys_of(plane):
    key, secret = plane.keys("agent")
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


def run_a_task(plane, name, before):
    send(plane, "PayloadMessage", messageId=name, seqNum=1, tasks=[
        acs_task(name, ["sh", "-c", "exit 9"])])
    stopped = reported(plane, task_arn(name), "STOPPED", before)
    assert stopped["containers"][0]["exitCode"] == 9


def test_over_tls(plane, far, open_things):
    """B1 over TLS, B57: an endpoint without a scheme means https, its path is kept; the session's
    host is checked without its port."""
    context, hashed, _ = certificates(plane.dir / "tls", "localhost")
    before = last(plane)
    plane.fault("endpoint", "acs", url="https://localhost:8443")
    open_things.append(Proxy(far, plane.host.name, 8443, context))
    agent = Remote(plane, far, ECS_BACKEND_HOST=" localhost:8443/a/path ", SSL_CERT_DIR=str(hashed),
                   **keys_of(plane))
    open_things.append(agent)
    agent.start()
    (register,) = plane.record("call", "RegisterContainerInstance", before)
    assert register["target"] == "/a/path/" and register["status"] == 200
    (acs,) = plane.record("handshake", "acs", before)
    assert acs["headers"]["Host"] == register["headers"]["Host"] == "localhost:8443"
    assert acs["status"] == 101
    run_a_task(plane, "tls", before)


@pytest.mark.parametrize("name, trusted", [("localhost", False), ("elsewhere", True)])
def test_a_bad_certificate_is_refused(plane, far, open_things, name, trusted):
    """B61 in part: an authority nobody trusts, a name that is not the host's. The reason is told."""
    context, hashed, _ = certificates(plane.dir / f"bad-{name}", name)
    before = last(plane)
    open_things.append(Proxy(far, plane.host.name, 8443, context))
    nothing = plane.dir / f"nothing-{name}"
    nothing.mkdir()
    nothing.chmod(0o755)
    agent = Remote(plane, far, ECS_BACKEND_HOST="https://localhost:8443",
                   SSL_CERT_DIR=str(hashed if trusted else nothing), **keys_of(plane))
    open_things.append(agent)
    agent.start(ready=False)
    wait_for("status says why", lambda: agent.status() and any(
        w["degraded"] and "certificate" in w["text"] for w in agent.status()["workers"]), 20,
        agent.logs)
    assert plane.record("call", "RegisterContainerInstance", before) == []


def test_a_file_of_authorities(plane, far, open_things):
    """AWS_CA_BUNDLE, for calls and sessions."""
    context, _, bundle = certificates(plane.dir / "bundle", "localhost")
    plane.fault("endpoint", "acs", url="wss://localhost:8443/")
    open_things.append(Proxy(far, plane.host.name, 8443, context))
    agent = Remote(plane, far, ECS_BACKEND_HOST="https://localhost:8443",
                   AWS_CA_BUNDLE=str(bundle), SSL_CERT_DIR="/nonexistent", **keys_of(plane))
    open_things.append(agent)
    agent.start()


def role_pages(plane, token="the-session-token", secret=None, seconds=3600):
    key, own = plane.keys("agent")
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    path = "/latest/meta-data/iam/security-credentials/"
    return {path: "the-role\n", path + "the-role": json.dumps({
        "Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret or own, "Token": token,
        "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")})}


def with_a_role(plane, far, open_things, pages, v2=True):
    """An agent whose keys come from IMDS, over http."""
    imds = Imds(far, pages, v2)
    plane.fault("endpoint", "acs", url="http://127.0.0.1:8080")
    agent = Remote(plane, far, ECS_BACKEND_HOST="http://127.0.0.1:8080")
    open_things += [imds, Proxy(far, plane.host.name, 8080), agent]
    agent.start()
    return imds, agent


@pytest.mark.parametrize("v2", [True, False])
def test_credentials_of_the_instance_role(plane, far, open_things, v2):
    """B4, B5, B52, B57: by IMDSv2, or without a token where that is refused; the session token is
    signed on calls and the handshake. http is spoken when the endpoint says so."""
    before = last(plane)
    imds, agent = with_a_role(plane, far, open_things, role_pages(plane), v2)
    role = [status for _, path, status in imds.log if path.endswith("/the-role")]
    assert role == [200], imds.log
    assert ("PUT", "/latest/api/token", 200 if v2 else 403) in imds.log
    for e in plane.record("call", after=before) + plane.record("handshake", "acs", before):
        assert e["headers"]["Authorization"].split("SignedHeaders=")[1].find(
            "x-amz-security-token") >= 0
        assert e["status"] in (101, 200)
    everything = json.dumps(plane.record(after=before))
    assert "the-session-token" not in everything and "the-session-token" not in agent.logs()


def test_imds_without_tokens_may_be_forbidden(plane, far, open_things):
    """B52: AWS_EC2_METADATA_V1_DISABLED."""
    imds = Imds(far, role_pages(plane), v2=False)
    open_things.append(imds)
    agent = Remote(plane, far, ECS_BACKEND_HOST="http://127.0.0.1:8080",
                   AWS_EC2_METADATA_V1_DISABLED="true")
    open_things.append(agent)
    agent.start(ready=False)
    wait_for("status says why", lambda: agent.status() and any(
        "IMDS gave no token" in w["text"] for w in agent.status()["workers"]), 20, agent.logs)
    assert not [p for m, p, _ in imds.log if m == "GET" and "credentials" in p]


def test_a_wrong_secret_is_refused_and_tried_ever_later(plane, far, open_things):
    """B5: the role's secret goes bad while the agent runs: the next handshake gets 403, and so do
    later ones with growing waits, until the secret is good again."""
    imds, agent = with_a_role(plane, far, open_things, role_pages(plane, seconds=60))
    before = last(plane)
    imds.pages = role_pages(plane, secret="wrong", seconds=60)
    plane.fault("drop", "acs")
    tries = wait_for("4 handshakes", lambda: (lambda h: h if len(h) >= 4 else None)(
        plane.record("handshake", "acs", before)), 20, agent.logs)[:4]
    assert all(t["status"] == 403 and t["error"] == "InvalidSignatureException" for t in tries)
    waits = [b["at"] - a["at"] for a, b in zip(tries, tries[1:])]
    assert all(w >= least for w, least in zip(waits, (0.36, 0.55, 0.83))), waits
    assert "403" in agent.status()["link"]["acs"] or agent.status()["link"]["acs"] != "connected"
    imds.pages = role_pages(plane, seconds=60)
    agent.wait_connected()
