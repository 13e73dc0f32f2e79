"""The quickstart on Amazon Linux 2023 and Fedora, as far as a Debian machine can show it: a mount
namespace with their os-release, without what they lack, and stand-ins for dnf, rpm and systemctl
first in PATH. The stand-ins record their arguments and refuse flags and packages unknown to them."""
import os
import shutil
import subprocess

import pytest

from conftest import ROOT, run
from test_quickstart import NOTHING, Quickstart, images_and_containers

DNF = """#!/bin/bash
echo "dnf $*" >>"$STAND_INS/calls"
[ "$1 $2 $3" = "install -y --setopt=install_weak_deps=False" ] || { echo "dnf: bad $*" >&2; exit 2; }
shift 3
[ ! -e "$STAND_INS/no-network" ] || { echo "Error: Failed to download metadata" >&2; exit 1; }
for p; do
        case $p in -*) echo "dnf: unknown flag $p" >&2; exit 2 ;; esac
        grep -qx -- "$p" "$STAND_INS/available" || { echo "No match for argument: $p" >&2; exit 1; }
done
printf '%s\\n' "$@" >>"$STAND_INS/installed"
"""
RPM = """#!/bin/bash
[ $# = 4 ] && [ "$1 $2 $3" = "-q --quiet --whatprovides" ] || { echo "rpm: bad $*" >&2; exit 2; }
grep -qx -- "$4" "$STAND_INS/installed"
"""
SYSTEMCTL = """#!/bin/bash
echo "systemctl $*" >>"$STAND_INS/calls"
case "$*" in
"start docker") touch "$STAND_INS/docker-runs" ;;
"stop docker.service docker.socket") rm "$STAND_INS/docker-runs" ;;
*) echo "systemctl: bad $*" >&2; exit 2 ;;
esac
"""
DOCKER = """#!/bin/bash
[ -e "$STAND_INS/docker-runs" ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
exec %s "$@"
"""

BOTH = """gcc make cmake ninja-build pkgconf-pkg-config git-core protobuf-c-compiler protobuf-c-devel
protobuf-compiler libuv-devel jansson-devel libcurl-devel openssl-devel libnl3-devel nftables-devel
sqlite-devel libmicrohttpd-devel systemd-devel libcap-ng-devel zlib-devel ca-certificates iproute
nftables util-linux procps-ng tar findutils iptables-nft curl""".split()
RELEASES = {
    "amazon": ('ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n', ["awscli-2", "docker"]),
    "fedora": ("ID=fedora\nVERSION_ID=41\n", ["awscli2", "moby-engine", "busybox", "wslay-devel"]),
    "rocky": ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
              ["awscli2", "moby-engine", "busybox", "wslay-devel"]),
}


class Release:
    """What must be seen by a command run on it."""

    def __init__(self, directory, os_release, more):
        self.dir = directory
        self.bin = directory / "stand-ins"
        self.bin.mkdir(parents=True)
        self.os_release = directory / "os-release"
        self.os_release.write_text(os_release)
        docker = DOCKER % shutil.which("docker")
        for name, text in (("dnf", DNF), ("rpm", RPM), ("systemctl", SYSTEMCTL), ("docker", docker)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        (self.bin / "available").write_text("\n".join(BOTH + more) + "\n")
        (self.bin / "installed").write_text("curl\n")  # curl-minimal provides it
        self.environment = {"STAND_INS": str(self.bin), "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def lacks(self, program):
        """Makes PATH the stand-ins and links to everything else but that."""
        links = self.dir / "bin"
        links.mkdir()
        for directory in os.environ["PATH"].split(":"):
            for name in os.listdir(directory) if os.path.isdir(directory) else []:
                if name != program and not (links / name).is_symlink():
                    (links / name).symlink_to(os.path.join(directory, name))
        self.environment["PATH"] = f"{self.bin}:{links}"

    def enter(self, *argv, hidden=(), systemd=False):
        """argv in a mount namespace where os-release is this one's and the hidden folders are empty."""
        lines = [f"mount --bind {self.os_release} /etc/os-release"]
        for path in hidden:
            lines.append(f"[ ! -d {path} ] || mount -t tmpfs none {path}")
        if systemd:
            lines.append("mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && "
                         "mkdir /run/systemd/system")
        return ["unshare", "-m", "bash", "-ec", "\n".join(lines) + '\nexec "$@"', "-",
                *[str(a) for a in argv]]

    def calls(self):
        path = self.bin / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def make_release(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root: a mount namespace")
    return lambda name: Release(tmp_path / name, *RELEASES[name])


def install(release):
    return run(*release.enter(
        "bash", "-c", ". init/packages; packages_install $packages_build $packages_try "
        "$packages_docker"), check=False, cwd=ROOT,
        env={**os.environ, **release.environment})


@pytest.mark.parametrize("name", RELEASES)
def test_packages_by_dnf(make_release, name):
    """Only names the release has, all in one call, and nothing the second time."""
    release = make_release(name)
    release.lacks("aws")
    r = install(release)
    assert r.returncode == 0, r.stdout + r.stderr
    (call,) = release.calls()
    words = call.split()
    assert words[:4] == ["dnf", "install", "-y", "--setopt=install_weak_deps=False"]
    assert sorted(words[4:]) == sorted(set(BOTH + RELEASES[name][1]) - {"curl"})
    r = install(release)
    assert r.returncode == 0 and r.stdout == "" and len(release.calls()) == 1, r.stdout + r.stderr


@pytest.mark.parametrize("os_release", ['ID="amzn"\nID_LIKE="centos rhel fedora"\nVERSION_ID="2"\n',
                                        "ID=arch\n", ""])
def test_an_unknown_release_is_told_what_to_install(make_release, os_release):
    release = make_release("fedora")
    release.os_release.write_text(os_release)
    r = install(release)
    assert r.returncode == 1 and release.calls() == []
    assert "install by hand" in r.stderr and "cmake" in r.stderr, r.stderr


def test_a_network_that_is_away_is_explained(make_release, host):
    release = make_release("fedora")
    (release.bin / "no-network").touch()
    q = Quickstart(host)
    r = host.run(*release.enter(ROOT / "init" / "quickstart", "--once"), check=False,
                 env={**q.environment, **release.environment})
    assert r.returncode == 1 and "Failed to download metadata" in r.stdout, r.stdout
    assert "is the network up? try: dnf install " in r.stdout, r.stdout
    assert q.left() == NOTHING


def test_amazon_linux_without_wslay_says_how(make_release, host):
    release = make_release("amazon")
    q = Quickstart(host)
    for more, text in (({}, "sudo WSLAY_SOURCE_DIR="),
                       ({"WSLAY_SOURCE_DIR": "/etc"}, "which is not wslay's source")):
        r = host.run(*release.enter(ROOT / "init" / "quickstart", "--once",
                                    hidden=["/usr/include/wslay", "/usr/local/include/wslay"]),
                     check=False, env={**q.environment, **release.environment, **more})
        assert r.returncode == 1 and text in r.stderr, r.stdout + r.stderr
        assert release.calls() == [] and q.left() == NOTHING


def test_amazon_linux_from_dnf_to_a_task(make_release, host):
    """Docker by systemctl, busybox from an image; nothing is left but packages."""
    release = make_release("amazon")
    release.lacks("busybox")
    image = "public.ecr.aws/docker/library/busybox:stable-musl"
    host.docker("tag", "ecs-hello:latest", image)
    host.docker("rmi", "ecs-hello:latest")
    before = images_and_containers(host)
    q = Quickstart(host)
    made = not os.path.exists("/run/systemd")
    try:
        p = subprocess.run(
            host.enter(*release.enter(ROOT / "init" / "quickstart", "--once", systemd=True)),
            env={**q.environment, **release.environment}, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    finally:
        if made:
            os.rmdir("/run/systemd")
        host.docker("tag", image, "ecs-hello:latest")
        host.docker("rmi", image)
    assert p.returncode == 0, p.stdout
    assert "Hello from an ECS task on" in p.stdout, p.stdout
    kinds = [c.split()[0] for c in release.calls()]
    assert kinds == ["dnf", "systemctl", "systemctl"], release.calls()
    assert release.calls()[1:] == ["systemctl start docker",
                                   "systemctl stop docker.service docker.socket"]
    assert q.left() == NOTHING
    assert images_and_containers(host) == before
