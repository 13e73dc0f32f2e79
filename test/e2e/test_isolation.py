"""What a worker may not do to its siblings, to the supervisor and to the host, although all run on
one machine. DESIGN 1, 3 and 6; H85, H86."""
import os
import pathlib
import stat
import subprocess
import sys
import textwrap

import pytest

WORKERS = ("engine", "metadata", "backend", "local")
FIRST_FALLBACK_ID = 61184


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.split() for k, v in (l.split(":", 1) for l in lines)}


@pytest.fixture(scope="module")
def pids(agent):
    return {w: agent.pid(w) for w in WORKERS}


@pytest.fixture(scope="module")
def statuses(pids):
    return {w: status_of(p) for w, p in pids.items()}


def test_each_worker_has_a_user_of_its_own(agent, statuses):
    """H85: not root, no user or group shared, one warning where the users do not exist."""
    uids = [s["Uid"] for s in statuses.values()]
    gids = [s["Gid"] for s in statuses.values()]
    for ids in (*uids, *gids):
        assert len(set(ids)) == 1 and int(ids[0]) >= 100, ids
    assert len({u[0] for u in uids}) == len(WORKERS)
    assert len({g[0] for g in gids}) == len(WORKERS)
    assert agent.log.read_text().count("these users and groups do not exist") <= 1


def test_no_worker_has_a_way_back_to_privilege(statuses, pids):
    """H85: no capability in any set, no new privileges, no core file."""
    for worker, s in statuses.items():
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(s[name][0], 16) == 0, (worker, name, s[name])
        assert s["NoNewPrivs"] == ["1"], worker
        limits = pathlib.Path(f"/proc/{pids[worker]}/limits").read_text()
        (core,) = [l for l in limits.splitlines() if l.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"], core
        # the files of a process that is not dumpable belong to root
        assert os.stat(f"/proc/{pids[worker]}/environ").st_uid == 0, worker


def test_environment_and_command_line_say_nothing(pids):
    """A fixed minimal environment; sanitizer builds read no more than that."""
    for worker, pid in pids.items():
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]
        assert environment == [b"PATH=/usr/sbin:/usr/bin:/sbin:/bin", b"LC_ALL=C.UTF-8"], worker
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        assert command == f"ecs-{worker}\0".encode(), command


def test_only_the_engine_is_in_dockers_group(host, statuses):
    docker = str(os.stat(host.socket).st_gid)
    shared = set.intersection(*[set(s["Groups"]) for s in statuses.values()])
    assert docker not in shared and len(shared) == 1  # ecs-state, for reading
    for worker, s in statuses.items():
        assert (docker in s["Groups"]) == (worker == "engine" and docker != "0"), worker


def test_only_the_engine_is_connected_to_docker(host, pids):
    """Asked of the kernel, in the namespace of the test host."""
    lines = host.run("ss", "-xpnH").stdout.splitlines()
    ours = [l.split() for l in lines if str(host.socket) in l]
    peers = {l[7] for l in ours if l[1] == "ESTAB"}
    assert peers, lines
    holders = {p for l in lines for p in pids.values()
               if l.split()[5] in peers and f"pid={p}," in l}
    assert holders == {pids["engine"]}, lines


def test_no_shared_group_may_write(agent, statuses):
    """H86: directories 2750, databases 0640; what several workers can reach none of them may
    write, but its owner."""
    groups = {int(g) for s in statuses.values() for g in s["Groups"]}
    for root in (agent.data, agent.run_dir):
        for path in [root, *root.rglob("*")]:
            st = path.lstat()
            assert st.st_mode & 0o002 == 0 or stat.S_ISLNK(st.st_mode), path
            if st.st_mode & 0o020:
                assert st.st_gid not in groups, (path, oct(st.st_mode), st.st_gid)
    for worker in WORKERS:
        st = (agent.data / worker).stat()
        assert stat.S_IMODE(st.st_mode) == (0o2751 if worker == "local" else 0o2750)
        assert str(st.st_uid) == statuses[worker]["Uid"][0]
    for name in ("engine/engine.db", "backend/backend.db", "local/local.db"):
        st = (agent.data / name).stat()
        assert stat.S_IMODE(st.st_mode) == 0o640, name
    control = (agent.run_dir / "control.sock").stat()
    assert stat.S_IMODE(control.st_mode) == 0o660 and control.st_uid == 0
    assert stat.S_IMODE((agent.data / "local/credentials").stat().st_mode) == 0o640


def as_worker(status, code):
    """Runs code with the user and groups of a worker; its standard output."""
    def become():
        os.setgroups([int(g) for g in status["Groups"]])
        os.setresgid(*[int(status["Gid"][0])] * 3)
        os.setresuid(*[int(status["Uid"][0])] * 3)
    r = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], preexec_fn=become, cwd="/",
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    return r.stdout


TRACE = """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    def attempt(what, fn):
        try:
            fn()
            print(what, 'succeeded')
        except OSError as e:
            assert e.errno in (1, 13), e
    def seize(pid):
        if libc.ptrace(0x4206, pid, None, None) != 0:
            raise OSError(ctypes.get_errno(), 'ptrace')
    for pid in {pids}:
        attempt(f'ptrace of {{pid}}', lambda: seize(pid))
        for name in ('mem', 'environ', 'fd/3'):
            attempt(f'{{name}} of {{pid}}', lambda: open(f'/proc/{{pid}}/{{name}}', 'rb').close())
    for pid in {others}:
        attempt(f'signal to {{pid}}', lambda: os.kill(pid, 0))
"""


def test_no_worker_can_trace_a_sibling_or_itself(agent, statuses, pids):
    """Nor the supervisor; nor read memory, environment or descriptors; nor signal another."""
    everyone = [*pids.values(), agent.process.pid]
    for worker, s in statuses.items():
        others = [p for p in everyone if p != pids[worker]]
        assert as_worker(s, TRACE.format(pids=everyone, others=others)) == "", worker


def test_debuggers_are_refused(statuses, pids):
    uid, gid = statuses["metadata"]["Uid"][0], statuses["metadata"]["Gid"][0]
    for tool in (["strace", "-p"], ["gdb", "-batch", "-p"]):
        r = subprocess.run(["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", *tool,
                            str(pids["engine"])], capture_output=True, text=True, timeout=60)
        assert "Operation not permitted" in r.stdout + r.stderr, (tool, r)


def test_no_worker_can_open_the_control_socket(agent, statuses):
    for worker, s in statuses.items():
        out = as_worker(s, f"""
            import socket
            try:
                socket.socket(socket.AF_UNIX).connect({str(agent.run_dir / 'control.sock')!r})
                print('connected')
            except PermissionError:
                print('refused')
        """)
        assert out == "refused\n", worker


def test_no_worker_can_open_dockers_socket_but_the_engine(host, statuses):
    for worker, s in statuses.items():
        out = as_worker(s, f"""
            import socket
            try:
                socket.socket(socket.AF_UNIX).connect({str(host.socket)!r})
                print('connected')
            except PermissionError:
                print('refused')
        """)
        assert out == ("connected\n" if worker == "engine" else "refused\n"), worker


def test_a_worker_writes_its_own_directory_only(agent, statuses):
    for worker, s in statuses.items():
        out = as_worker(s, f"""
            import os
            for w in {WORKERS!r}:
                path = os.path.join({str(agent.data)!r}, w, 'probe')
                try:
                    open(path, 'w').close()
                    os.unlink(path)
                    print(w)
                except PermissionError:
                    pass
        """)
        assert out == worker + "\n"


def memory_of(pid):
    """The readable private memory of a process."""
    with open(f"/proc/{pid}/mem", "rb") as mem:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if not mode.startswith("rw") or end - start > 1 << 28:
                continue
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except (OSError, ValueError):
                pass


def test_secrets_are_in_the_memory_of_their_recipients_only(agent, pids):
    """And in no file but the one made for them. The key searched for is the agent's in local mode,
    which signs the backend's requests and is checked by the control plane."""
    secret = agent.keys("agent")[1].encode()
    holders = {w for w, p in pids.items() if any(secret in m for m in memory_of(p))}
    assert holders == {"backend", "local"}
    for root in (agent.data, agent.run_dir):
        for path in root.rglob("*"):
            if path.is_file() and path != agent.data / "local/credentials":
                assert secret not in path.read_bytes(), path
    assert secret not in agent.log.read_bytes()


# A worker taken over by somebody else speaks the protocol by hand: Connect is body 12 with the
# peer's name as field 1, CtlWorker is body 21.
TAKEN_OVER = """
import os, socket, struct, sys
s = socket.socket(fileno=3)
def field(number, data):
    return bytes([number << 3 & 0x7f | 2 | 0x80, number >> 4]) if number > 15 else bytes([number << 3 | 2])
def frame(id, kind, body, data):
    key = body << 3 | 2
    head = bytes([key]) if key < 128 else bytes([key & 0x7f | 0x80, key >> 7])
    m = bytes([0x08, id, 0x10, kind]) + head + bytes([len(data)]) + data
    return struct.pack('>I', len(m)) + m
def read():
    head = s.recv(4, socket.MSG_WAITALL)
    return s.recv(struct.unpack('>I', head)[0], socket.MSG_WAITALL) if len(head) == 4 else None
read()  # Hello
for peer in PEERS:
    s.sendall(frame(7, 1, 12, bytes([10, len(peer)]) + peer.encode()))
    print(peer, 'refused' if b'may not talk' in read() else 'granted', flush=True)
s.sendall(LAST)
s.settimeout(10)
while read() is not None:  # a refusal
    pass
print('closed', flush=True)
"""


def taken_over(agent, worker, peers, last):
    script = agent.dir / "taken_over.py"
    script.write_text(f"PEERS, LAST = {peers!r}, {last!r}\n" + TAKEN_OVER)
    r = agent.ctl("debug", worker, "--", sys.executable, script)
    agent.wait_connected()
    return r.stdout.split("\n")[:-1]


def test_a_worker_reaches_no_peer_its_row_does_not_name(agent):
    """The real supervisor, a worker that says what it likes. Then a message only ecsctl may send:
    the supervisor closes the connection and carries on."""
    out = taken_over(agent, "metadata", ["local", "supervisor", "metadata", "nobody"],
                     b"\0\0\0\x09\x08\x08\x10\x01\xaa\x01\x02\x10\x02")
    assert out == ["local refused", "supervisor refused", "metadata refused", "nobody refused",
                   "closed"]
    assert "this pair may not talk" in agent.log.read_text()
    assert "reason=Unsupported" in agent.log.read_text()


@pytest.mark.parametrize("last", [b"\xff\xff\xff\xff", b"\0\0\0\x04\xde\xad\xbe\xef",
                                  b"\0\0\0\0"])
def test_garbage_of_a_worker_costs_its_own_connection(agent, last):
    before = agent.process.pid, agent.pid("backend")
    assert taken_over(agent, "metadata", [], last) == ["closed"]
    assert (agent.process.pid, agent.pid("backend")) == before
