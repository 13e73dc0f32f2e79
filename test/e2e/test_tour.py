"""The README's tour: the indented commands of its sections, in order, in one shell. A command that
fails, or says that something failed, fails the test."""
import re
import subprocess

import pytest

from conftest import ROOT
from test_quickstart import NOTHING, Quickstart, images_and_containers

# What must differ here, and why. Nothing else does.
INSTEAD = [
    (r"^sudo ", ""),                                        # is root already
    (r"\./test/run$", "./test/run --help"),                 # is what runs this
    (r"\./test/bench/run$", "./test/bench/run --help"),     # test_bench.py runs it
    (r"/var/lib/ecs-quickstart", "$ECS_QUICKSTART_DIR"),
    (r"^ecsctl check$", "ecsctl check || [ $? = 1 ]"),      # a namespace without DNS: it says so
]
COMPLAINT = re.compile(r"^(ecsctl|quickstart|bash|aws|man|troff|.*: line \d+):|^(usage|An error|Unable|"
                       r"Traceback|Waiter )|[Ss]egmentation|Sanitizer", re.M)


def commands():
    """(section, command) of each indented line."""
    section = None
    for line in (ROOT / "README.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("    "):
            yield section, line[4:]


def test_sections_with_commands():
    sections = {s for s, _ in commands()}
    assert sections == {"Try it", "Use it", "Test it"}
    words = " ".join(c for _, c in commands())
    for word in ("status", "tasks", "task", "why", "run", "logs", "exec", "stop", "events", "config",
                 "check", "top", "local env", "local fault"):
        assert f"ecsctl {word}" in words, word


@pytest.mark.timeout(900)
def test_every_command_of_the_readme(host):
    host.docker("tag", "ecs-hello:latest", "aside")  # for quickstart to make its own of that name
    host.docker("rmi", "ecs-hello:latest")
    before = images_and_containers(host)
    q = Quickstart(host)
    q.dir = host.dir / "tour"
    environment = {**q.environment, "ECS_QUICKSTART_DIR": str(q.dir), "AWS_PAGER": "",
                   "MANPAGER": "cat"}
    shell = subprocess.Popen(
        host.enter("bash", "--norc", "--noprofile"), cwd=ROOT, text=True, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = {}
    try:
        for section, command in commands():
            text = command
            for pattern, other in INSTEAD:
                text = re.sub(pattern, lambda m: other, text)
            shell.stdin.write(f"{{ {text}\n}} </dev/null\nprintf '\\n<<%s>>\\n' $?\n")
            shell.stdin.flush()
            lines = []
            for line in shell.stdout:
                if line.startswith("<<"):
                    break
                lines.append(line)
            else:
                raise AssertionError(f"the shell ended at: {command}\n{''.join(lines)}")
            output = said[command] = "".join(lines)
            assert line == "<<0>>\n", f"{section}: {command}: {line}{output}"
            complaint = "--help" not in text and COMPLAINT.search(output)
            assert not complaint, f"{section}: {command}: {complaint.group()!r} in\n{output}"
    finally:
        shell.stdin.close()
        shell.wait(60)
        shell.stdout.close()
        q.run("--stop", ECS_QUICKSTART_DIR=str(q.dir))
        host.docker("tag", "aside", "ecs-hello:latest")
        host.docker("rmi", "aside")
    check_what_they_said({c.split("#")[0].strip(): o for c, o in said.items()})
    assert q.left() == NOTHING
    assert images_and_containers(host) == before


def check_what_they_said(said):
    """That the commands did what the text around them promises."""
    assert "Hello from an ECS task on" in said["sudo ./init/quickstart"]
    page = said["ecsctl exec $task -- wget -q -O - http://127.0.0.1/"]
    assert "Hello from an ECS task on" in page, page
    assert '"lastStatus": "RUNNING"' in said["aws ecs describe-tasks --tasks $task"]
    assert "throttle" in said["ecsctl local fault list"]
    assert "SubmitTaskStateChange" in said["ecsctl local record"]
    assert "ECS_CLUSTER" in said["man -l build/release/init/ecs.config.5"]
    assert "support-bundle" in said["ecsctl --man | man -l -"]
