"""The log and the audit log as an operator meets them: fields, the journal, SIGUSR1, levels."""
import json
import os
import re
import signal
import subprocess

import pytest

from conftest import BIN, Agent, Tasks, run, wait_for


# The first two have agents of their own: only one at a time has the ports.

def test_loglevel_by_hand(host):
    """One worker tells more, until the service ends; also once it was restarted."""
    agent = Agent(host, ECS_LOGLEVEL="warn")
    try:
        agent.start()
        def debug_lines(worker):
            return [l for l in agent.log.read_text().splitlines()
                    if f"worker={worker} " in l and l.startswith(("level=debug", "level=info"))]
        assert debug_lines("engine") == []
        agent.ctl("loglevel", "engine", "debug")
        agent.ctl("restart", "engine")
        wait_for("the engine tells more", lambda: debug_lines("engine"), 20, agent.logs)
        assert debug_lines("backend") == []
    finally:
        agent.stop()


JOURNAL = """
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal || exit 9
/lib/systemd/systemd-journald & journal=$!
for i in $(seq 100); do [ -S /run/systemd/journal/stdout ] && break; sleep 0.1; done
echo $journal > "$1"; shift
exec /usr/bin/python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect("/run/systemd/journal/stdout")
s.sendall(b"ecs\\n\\n6\\n0\\n0\\n0\\n0\\n")
os.dup2(s.fileno(), 1); os.dup2(s.fileno(), 2)
st = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
os.execv(sys.argv[1], sys.argv[1:])' "$@"
"""


class JournalAgent(Agent):
    """The agent under a journald of its own, in a mount namespace."""

    def start(self, ready=True):
        self.pid_file = self.dir / "journald.pid"
        self.process = subprocess.Popen(
            self.host.enter("unshare", "-m", "bash", "-c", JOURNAL, "bash", self.pid_file,
                            BIN / "ecs-supervisor", "--local"),
            stdout=subprocess.DEVNULL, stderr=open(self.log, "ab"), env=self.environment,
            start_new_session=True)
        self.wait_connected()
        return self

    def journal(self, *argv):
        r = run("nsenter", "-m", "-t", self.pid_file.read_text().strip(), "journalctl", "--no-pager",
                "-D", "/run/log/journal", "-o", "json", *argv, check=False)
        return [json.loads(l) for l in r.stdout.splitlines() if l.startswith("{")]


@pytest.mark.skipif(not os.path.exists("/lib/systemd/systemd-journald"), reason="no journald here")
def test_journal_has_each_value_as_a_field(host):
    agent = JournalAgent(host, ECS_LOGLEVEL="info")
    tasks = Tasks(agent)
    try:
        agent.start()
        tasks.register("journaled", {"name": "web", "command": ["true"]})
        (arn,) = tasks.run("journaled")
        tasks.wait("STOPPED", arn)
        task = arn.rsplit("/", 1)[1]
        entries = wait_for("journalctl ECS_TASK finds the task's entries", lambda: [
            e for e in agent.journal(f"ECS_TASK={task}") if e.get("ECS_CONTAINER") == "web"
            and e.get("ECS_TO") == "STOPPED"], 20, agent.logs)
        assert entries[0]["ECS_WORKER"] == "engine" and entries[0]["PRIORITY"] == "6"
        assert entries[0]["MESSAGE"].startswith("container changed task=" + task)
        assert entries[0]["SYSLOG_IDENTIFIER"] == "ecs-agent"
        assert agent.journal("ECS_WORKER=supervisor") and not agent.journal("ECS_TASK=nothing")
    finally:
        agent.stop()
        if agent.pid_file.exists():
            os.kill(int(agent.pid_file.read_text()), signal.SIGTERM)


def test_every_line_names_its_worker_and_task_lines_their_task(agent, tasks):
    """H37: logfmt; what concerns a task carries its id, what concerns a container its name."""
    tasks.register("spoken", {"name": "web", "command": ["sleep", "300"]})
    (arn,) = tasks.run("spoken")
    tasks.wait("RUNNING", arn)
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)
    task = arn.rsplit("/", 1)[1]
    lines = agent.log.read_text().splitlines()
    for line in lines:
        assert re.match(r"level=\w+ time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ worker=[\w-]+ msg=", line), line
    assert any(f"msg=\"container changed\" task={task} container=web from=RUNNING to=STOPPED" in l
               for l in lines)
    for line in lines:
        if arn in line:
            assert f"task={task}" in line, "an ARN in place of the id: " + line


def test_usr1_dumps_and_goes_on(agent):
    """H44."""
    pid, before = agent.process.pid, agent.status()
    agent.process.send_signal(signal.SIGUSR1)
    wait_for("the dump is in the log", lambda: "state of the supervisor" in agent.log.read_text())
    text = agent.log.read_text()
    for worker in before["workers"]:
        assert re.search(rf"state of the worker\" process={worker['name']} state=ready "
                         rf"pid={worker['pid']}", text)
    assert agent.process.pid == pid and agent.status()["workers"][0]["pid"] == before["workers"][0]["pid"]


def test_audit_log(agent, tasks):
    """H88, M18, M19: the line's form; the id never; nothing lost."""
    audit = agent.dir / "audit.log"
    tasks.register("audited", {"name": "one", "command": ["sleep", "300"]},
                   taskRoleArn="arn:aws:iam::000000000000:role/r")
    (arn,) = tasks.run("audited")
    tasks.wait("RUNNING", arn)
    (docker_id,) = tasks.container_ids(arn)
    env = json.loads(agent.host.docker("inspect", docker_id))[0]["Config"]["Env"]
    uri = [e for e in env if e.startswith("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=")][0].split("=")[1]
    for path in (uri, "/v2/credentials/nope", "/v1/credentials"):
        agent.host.run("curl", "-s", "-A", 'my "agent"\\1', f"http://127.0.0.1:51679{path}")
    lines = wait_for("three lines", lambda: (l := audit.read_text().split("\n")[:-1])[2:] and l, 20)
    instance = agent.aws("list-container-instances")["containerInstanceArns"][0]
    assert re.fullmatch(rf'\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ 200 127\.0\.0\.1:\d+ "/v2/credentials" '
                        + re.escape('"my \\"agent\\"\\\\1"') +
                        f' {arn} GetCredentials 2 default {instance}', lines[0]), lines[0]
    assert re.search(r' 400 127\.0\.0\.1:\d+ "/v2/credentials" ".*" - $', lines[1]), lines[1]
    assert re.search(r' 400 127\.0\.0\.1:\d+ "/v1/credentials" ".*" - $', lines[2]), lines[2]
    assert uri.rsplit("/", 1)[1] not in audit.read_text() and "nope" not in audit.read_text()
    agent.aws("stop-task", "--task", arn)
    tasks.wait("STOPPED", arn)
