"""What the host rules do, seen from containers, from the host and from another host: H9 to H18, by
behaviour. A second network namespace, over a veth pair, is the other host."""
import subprocess
import uuid

import pytest

from conftest import BIN, Agent, run, wait_for

ROUTE_LOCALNET = "/proc/sys/net/ipv4/conf/all/route_localnet"
HOST, OTHER = "10.98.0.1", "10.98.0.2"


@pytest.fixture(scope="module")
def neighbour(host):
    """Another host; the test host's default route goes through it, since without one a process
    cannot even send to 169.254.170.2."""
    name = host.name + "-b"
    run("ip", "netns", "add", name)
    run("ip", "-n", host.name, "link", "add", "toward", "type", "veth", "peer", "name", "back",
        "netns", name)
    run("ip", "-n", host.name, "addr", "add", f"{HOST}/24", "dev", "toward")
    run("ip", "-n", host.name, "addr", "add", "fd98::1/64", "dev", "toward", "nodad")
    run("ip", "-n", name, "addr", "add", f"{OTHER}/24", "dev", "back")
    run("ip", "-n", name, "addr", "add", "fd98::2/64", "dev", "back", "nodad")
    for netns, link in ((host.name, "toward"), (name, "back"), (name, "lo")):
        run("ip", "-n", netns, "link", "set", link, "up")
    run("ip", "-n", host.name, "route", "add", "default", "via", OTHER)
    yield name
    run("ip", "-n", host.name, "link", "del", "toward")
    run("ip", "netns", "del", name)


def curl(netns, url):
    """The HTTP status, "000" when there was no connection within the time."""
    return run("nsenter", f"--net=/run/netns/{netns}", "curl", "-s", "-o", "/dev/null", "-w",
               "%{http_code}", "--noproxy", "*", "--connect-timeout", "1", "-m", "3", url,
               check=False).stdout


def from_container(host, url, seconds=20):
    """What wget in a bridge container says."""
    name = "wget-" + uuid.uuid4().hex[:8]
    try:
        r = subprocess.run(["docker", "-H", f"unix://{host.socket}", "run", "--rm", "--name", name,
                            "ecs-hello", "wget", "-O", "-", url],
                           capture_output=True, text=True, timeout=seconds)
        return r.stdout + r.stderr
    except subprocess.TimeoutExpired:
        host.docker("rm", "-f", name)
        return "nothing"


def tables(host):
    """All of nftables, without counters and handles; iptables lives there, too."""
    return host.run("nft", "-s", "list", "ruleset").stdout


def route_localnet(host):
    return host.run("cat", ROUTE_LOCALNET).stdout.strip()


def test_without_rules_introspection_stays_on_loopback(host, neighbour):
    """The guard cannot stand where the kernel's nftables may not be changed: a supervisor without
    CAP_NET_ADMIN says so and listens on loopback only. The rest works."""
    a = Agent(host)
    with open(a.log, "ab") as out:
        a.process = subprocess.Popen(
            host.enter("setpriv", "--bounding-set", "-net_admin", BIN / "ecs-supervisor",
                       "--local"),
            stdout=out, stderr=out, env=a.environment, start_new_session=True)
    try:
        a.wait_connected()
        assert curl(host.name, "http://127.0.0.1:51678/v1/metadata") == "200"
        assert curl(host.name, f"http://{HOST}:51678/v1/metadata") == "000"
        assert curl(neighbour, f"http://{HOST}:51678/v1/metadata") == "000"
        (notice,) = [n for n in a.status()["notices"] if "host rules are missing" in n]
        assert "loopback only" in notice
    finally:
        assert a.stop() == 0


def test_nothing_is_left_after_a_stop(host, neighbour):
    """H12, H14: rules and route_localnet as before; that value is restored, not a default. Twice,
    with a kill in between, so that what the killed one left is found: H13."""
    host.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0")
    for before in ("0", "1"):
        host.run("sysctl", "-qw", f"net.ipv4.conf.all.route_localnet={before}")
        clean = tables(host)
        a = Agent(host).start()
        ruled = tables(host)
        assert ruled != clean and route_localnet(host) == "1"
        a.kill()
        a.start()
        assert tables(host) == ruled
        assert a.stop() == 0
        assert tables(host) == clean
        assert route_localnet(host) == before
        assert list(a.run_dir.iterdir()) == []
    host.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0")


@pytest.fixture(scope="module")
def ruled(host, neighbour):
    a = Agent(host).start()
    yield a
    assert a.stop() in (0, None)


def test_a_bridge_container_reaches_the_endpoints(host, ruled):
    """H9, H15: an HTTP answer of ours at 169.254.170.2, and at no other port of it."""
    assert "HTTP/1.1 4" in from_container(host, "http://169.254.170.2/")
    assert "HTTP/" not in from_container(host, "http://169.254.170.2:8080/", 4)


def test_a_host_process_reaches_the_endpoints(host, ruled):
    """H10, H16."""
    assert curl(host.name, "http://169.254.170.2/").startswith("4")


def test_another_host_does_not(host, ruled, neighbour):
    """The address is ours alone: the neighbour's packets to it are redirected to loopback, and it
    holds no container of ours; what it must not reach is the port itself."""
    assert curl(neighbour, f"http://{HOST}:51679/") == "000"


def test_introspection_is_for_this_host(host, ruled, neighbour):
    """H11, H17: open on lo, from the host's own address, and from the docker bridge; closed to
    others over both families."""
    url = "http://{}:51678/v1/metadata"
    for address in ("127.0.0.1", HOST, "[::1]"):
        assert curl(host.name, url.format(address)) == "200", address
    gateway = host.run("ip", "-4", "-o", "addr", "show", "docker0").stdout.split()[3].split("/")[0]
    assert "Cluster" in from_container(host, url.format(gateway))
    for address in (HOST, "[fd98::1]"):
        assert curl(neighbour, url.format(address)) == "000", address
        # not the network's doing: another port answers
    with subprocess.Popen(host.enter("busybox", "httpd", "-f", "-p", "51600")) as other:
        wait_for("a port of nobody's answers the neighbour",
                 lambda: curl(neighbour, f"http://{HOST}:51600/") != "000", 5)
        assert curl(neighbour, "http://[fd98::1]:51600/") != "000"
        other.kill()


SPOOF = """
import socket, sys
s = socket.socket()
s.settimeout(1)
try:
    s.connect(('127.0.0.1', int(sys.argv[1])))
    print('connected')
except OSError as e:
    print('refused')
"""


@pytest.fixture(scope="module")
def loopback_spoofer(host, neighbour):
    """The neighbour sends packets for 127.0.0.1 to us, which route_localnet lets in."""
    enter = ["nsenter", f"--net=/run/netns/{neighbour}"]
    run(*enter, "ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
    run(*enter, "ip", "rule", "add", "pref", "0", "to", "127.0.0.0/8", "lookup", "98")
    run(*enter, "ip", "route", "add", "127.0.0.0/8", "via", HOST, "src", OTHER, "table", "98")
    run(*enter, "ip", "rule", "del", "pref", "0", "lookup", "local")
    run(*enter, "ip", "rule", "add", "pref", "100", "lookup", "local")
    run(*enter, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")

    def attempt(port):
        return run(*enter, "/usr/bin/python3", "-c", SPOOF, str(port)).stdout.strip()
    return attempt


@pytest.fixture(scope="module")
def open_agent(host, ruled, loopback_spoofer):
    """With both switches the other way; after the tests that want the rules."""
    assert loopback_spoofer(51679) == "refused"
    assert ruled.stop() == 0
    a = Agent(host, ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS="true",
              ECS_SKIP_LOCALHOST_TRAFFIC_FILTER="true").start()
    yield a
    assert a.stop() == 0


def test_loopback_is_closed_to_other_hosts(host, ruled, loopback_spoofer):
    """H11, rule 2: although route_localnet is 1, a packet to 127.0.0.1 from outside is dropped."""
    assert route_localnet(host) == "1"
    assert loopback_spoofer(51679) == "refused"


def test_the_switches_open_both(host, open_agent, neighbour, loopback_spoofer):
    """H18. That the spoofed packet gets through here shows that the filter is what stopped it."""
    assert curl(neighbour, f"http://{HOST}:51678/v1/metadata") == "200"
    assert loopback_spoofer(51679) == "connected"
