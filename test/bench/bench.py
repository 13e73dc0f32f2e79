"""The measurements and the table. Run by ./run. Uses the test host of test/e2e."""
import argparse
import array
import collections
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
# conftest wants pytest for its fixtures only; pytest itself would map libraries the agent maps
fixtures = types.ModuleType("pytest")
fixtures.fixture = lambda *a, **_: a[0] if a and callable(a[0]) else lambda f: f
sys.modules["pytest"] = fixtures
from conftest import Agent, Host, run  # noqa: E402

TICKS = 1e9


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


# ---- processes ----

def tree(pid):
    """The process and all below it: {pid: name}."""
    parents = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = pathlib.Path(f"/proc/{p}/stat").read_text()
        except OSError:
            continue
        name, rest = re.match(r"\d+ \((.*)\) . (.*)", stat, re.S).groups()
        parents[int(p)] = (int(rest.split()[0]), name)
    found, grown = {pid}, True
    while grown:
        grown = {p for p, (parent, _) in parents.items() if parent in found} - found
        found |= grown
    return {p: parents[p][1] for p in found if p in parents}


PAGE = os.sysconf("SC_PAGE_SIZE")
EVERYBODYS = re.compile(r"/(libc|ld-linux[^/]*|libm|libpthread|libdl)[.-]")


def pages(pid):
    """Frames of the process's resident pages: {frame: mapped from the C library}."""
    out = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            fields = line.split()
            if fields[-1] == "[vsyscall]":
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            if end - start > 1 << 30:
                continue  # reserved by a sanitizer
            pagemap.seek(start // PAGE * 8)
            entries = array.array("Q", pagemap.read((end - start) // PAGE * 8))
            common = bool(EVERYBODYS.search(fields[-1]))
            out.update((e & (1 << 55) - 1, common) for e in entries if e >> 63)
    return out


def memory_mib(pids):
    """PSS of the processes by name, as if nobody else on the machine mapped their libraries: a page
    is shared among these processes alone, only the C library's pages with everybody."""
    each = {pid: pages(pid) for pid in pids}
    ours = collections.Counter(frame for p in each.values() for frame in p)
    out = collections.Counter()
    with open("/proc/kpagecount", "rb", 0) as counts:
        for pid, frames in each.items():
            total = 0.0
            for frame, common in frames.items():
                users = ours[frame]
                if common:
                    counts.seek(frame * 8)
                    users = max(users, int.from_bytes(counts.read(8), sys.byteorder))
                total += 1 / users
            out[pids[pid]] += total * PAGE / 1048576
    return out


def cpu_seconds(pids):
    return sum(int(pathlib.Path(f"/proc/{p}/task/{t}/schedstat").read_text().split()[0])
               for p in pids for t in os.listdir(f"/proc/{p}/task")) / TICKS


# ---- the run ----

class Bench:
    def __init__(self, quick):
        self.quick = quick
        self.host = Host()
        self.agent = None
        self.rows, self.notes, self.figures = [], [], {}

    def row(self, what, plain, agent, ratio="", aim=""):
        self.rows.append((what, plain, agent, ratio, aim))

    def client(self, **request):
        r = self.host.run("/usr/bin/python3", HERE / "client.py", json.dumps(request))
        return json.loads(r.stdout)

    def start(self):
        """Starts the agent; seconds until it is registered."""
        if self.agent is None:
            # the plain calls do not pull either
            self.agent = Agent(self.host, ECS_LOGLEVEL="info", ASAN_OPTIONS="",
                               ECS_IMAGE_PULL_BEHAVIOR="prefer-cached")
        size = self.agent.log.stat().st_size if self.agent.log.exists() else 0
        start = time.monotonic()
        self.agent.start(ready=False)
        while time.monotonic() < start + 30:
            with open(self.agent.log, "rb") as f:
                f.seek(size)
                if b"msg=registered" in f.read():
                    break
            time.sleep(0.001)
        took = time.monotonic() - start
        self.agent.wait_connected()
        return took

    def kill_all(self):
        for pid in tree(self.agent.process.pid):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self.agent.process.wait()

    def registration(self):
        times = []
        for _ in range(2 if self.quick else 6):
            if self.agent is not None:
                self.agent.stop()
            times.append(self.start())
        self.figures["registration_s"] = times
        self.row("start to registration, first / again p50 (s)", "–",
                 f"{times[0]:.3f} / {percentile(times[1:], 50):.3f}", "", "≤ 0.10")

    def memory(self, what, aim):
        processes = tree(self.agent.process.pid)
        each = memory_mib({p: n for p, n in processes.items() if n != "ecs-local"})
        self.figures[f"pss_mib_{what}"] = each
        self.row(f"PSS {what}, without ecs-local (MiB)", "–", f"{sum(each.values()):.1f}", "", aim)
        self.notes.append(f"PSS {what}: " + ", ".join(f"{n} {v:.1f}" for n, v in sorted(
            each.items())))

    def idle_cpu(self):
        seconds = 1 if self.quick else 30
        time.sleep(0 if self.quick else 5)
        pids = [p for p, n in tree(self.agent.process.pid).items() if n != "ecs-local"]
        before = cpu_seconds(pids)
        time.sleep(seconds)
        used = (cpu_seconds(pids) - before) * 60 / seconds
        self.figures["idle_cpu_s_per_minute"] = used
        self.row("CPU idle, without ecs-local (s a minute)", "–", f"{used:.3f}", "", "≤ 0.01")

    def launches(self):
        f = self.client(do="launches", docker=str(self.host.socket), keys=self.agent.keys(),
                        rounds=2 if self.quick else 20, bursts=1 if self.quick else 4,
                        size=5 if self.quick else 20)
        self.figures.update({k.replace(" ", "_") + "_ms": v for k, v in f.items()})
        for kind, what in (("one", "one task, payload to RUNNING, p50 / p99 (ms)"),
                           ("burst", f"burst of {5 if self.quick else 20}, p50 / p99 (ms)")):
            p50, p99 = ([percentile(f[f"{side} {kind}"], p) for side in ("plain", "agent")]
                        for p in (50, 99))
            self.row(what, f"{p50[0]:.0f} / {p99[0]:.0f}", f"{p50[1]:.0f} / {p99[1]:.0f}",
                     f"{p50[1] / p50[0]:.2f} / {p99[1] / p99[0]:.2f}", "≤ 1.05")

    def endpoint(self):
        ids = self.host.docker("ps", "-q").split()
        env = json.loads(self.host.docker("inspect", ids[0]))[0]["Config"]["Env"]
        uri = dict(e.split("=", 1) for e in env)["ECS_CONTAINER_METADATA_URI_V4"]
        return uri.removeprefix("http://169.254.170.2")

    def requests(self):
        path = self.endpoint()
        for name, tail in (("v4 container", ""), ("v4 task", "/task")):
            out = self.host.run("wrk", "-t1", "-c50", f"-d{1 if self.quick else 5}s", "--latency",
                                f"http://127.0.0.1:51679{path}{tail}").stdout
            rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
            p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
            p99 = float(p99) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
            if "Non-2xx" in out:
                raise SystemExit(f"bench: {name}: {out}")
            self.figures[f"{name} requests"] = [rate, p99]
            self.row(f"{name}, 50 connections: requests/s, p99 (ms)", "–",
                     f"{rate / 1000:.1f} k, {p99:.2f}", "", "≥ 50 k, ≤ 5")

    def restarts(self):
        path, times, worker = self.endpoint(), [], []
        for i in range(1 if self.quick else 5):
            times.append(self.until_served(path, self.restart_all))
            self.agent.wait_connected()
            worker.append(self.until_served(path, lambda: os.kill(self.agent.pid("metadata"), 9)))
            self.agent.wait_connected()
        self.figures.update(restart_s=times, metadata_restart_s=worker)
        self.row("all killed, 10 tasks: start to metadata served, p50 (s)", "–",
                 f"{percentile(times, 50):.3f}", "", "≤ 0.10")
        self.row("metadata worker killed: until served again, p50 (s)", "–",
                 f"{percentile(worker, 50):.3f}")

    def restart_all(self):
        self.kill_all()
        start = time.monotonic()
        self.agent.start(ready=False)
        return start

    def until_served(self, path, act):
        child = subprocess.Popen(
            self.host.enter("/usr/bin/python3", HERE / "client.py", json.dumps(
                {"do": "until served", "url": ["127.0.0.1", 51679, path]})),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        start = act() or time.monotonic()
        out, _ = child.communicate("go\n")
        return json.loads(out) - start

    def measure(self):
        self.registration()
        self.idle_cpu()
        self.memory("idle", "≤ 14")
        self.launches()
        self.client(do="run", keys=self.agent.keys(), count=10)
        time.sleep(1)
        self.memory("10 tasks", "≤ 15")
        self.requests()
        self.restarts()

    def table(self):
        heads = ("", "plain Docker", "agent", "ratio", "aim")
        widths = [max(len(r[i]) for r in [heads, *self.rows]) for i in range(5)]
        lines = [f"{os.cpu_count()} CPUs, kernel {platform.release()}, Docker "
                 + run("docker", "-H", f"unix://{self.host.socket}", "version", "-f",
                       "{{.Server.Version}}").stdout.strip()
                 + (", quick: figures say little" if self.quick else ""), ""]
        for r in [heads, tuple("-" * w for w in widths), *self.rows]:
            lines.append("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |")
        return "\n".join(lines + [""] + [f"- {n}" for n in self.notes])

    def close(self):
        if self.agent is not None and self.agent.process is not None:
            self.agent.stop()
        self.host.close()


def main():
    p = argparse.ArgumentParser(prog="bench")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--json")
    o = p.parse_args()
    b = Bench(o.quick)
    try:
        b.measure()
        print(b.table())
        if o.json:
            pathlib.Path(o.json).write_text(json.dumps(b.figures, indent=1))
    except AssertionError as e:
        print(f"bench: {e}\n{b.agent.logs() if b.agent else ''}", file=sys.stderr)
        raise SystemExit(1)
    finally:
        b.close()


main()
