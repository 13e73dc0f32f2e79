"""What ecsctl says of itself: help, the manual page and completion, all made from one table."""
import re
import subprocess

import pytest

from conftest import BIN, run

ECSCTL = BIN / "ecsctl"
GLOBAL = {"--json", "--run-dir", "--help"}


def commands():
    text = run(ECSCTL, "--help").stdout
    return re.findall(r"^  ([a-z][a-z-]*) ", text, re.M)


def complete(*words):
    """What bash offers behind these words; the last one is being typed."""
    script = run(ECSCTL, "--completion").stdout
    line = " ".join(f"'{w}'" for w in words)
    out = run("bash", "-c", f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
              "_ecsctl\nprintf '%s\\n' \"${COMPREPLY[@]}\"", cwd=ECSCTL.parent).stdout
    return set(out.split())


def test_every_command_explains_itself():
    assert len(commands()) > 9
    for name in commands():
        text = run(ECSCTL, name, "--help").stdout
        assert text.startswith(f"usage: ecsctl {name}"), name
        assert "Examples:\n  " in text, f"{name} has no example"
        assert run(ECSCTL, "help", name).stdout == text


def test_the_manual_has_no_groff_error():
    source = run(ECSCTL, "--man").stdout
    r = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-rLL=78n"], input=source,
                       capture_output=True, text=True, check=True)
    assert r.stderr == ""
    shown = re.sub(r".\x08", "", re.sub(r"\x1b\[[0-9;]*m", "", r.stdout))
    for name in commands():
        assert f"ecsctl {name}" in shown
    assert "EXIT STATUS" in shown


def test_completion_offers_commands_and_options():
    assert set(commands()) <= complete("ecsctl", "")
    assert complete("ecsctl", "sta") == {"status", "start"}
    assert "--new" in complete("ecsctl", "--json", "restart", "--")
    assert GLOBAL <= complete("ecsctl", "status", "--")
    assert {"debug", "none"} <= complete("ecsctl", "loglevel", "engine", "")


@pytest.mark.parametrize("argv, says", [
    (["nonsense"], "no command 'nonsense'"), (["why"], "usage: ecsctl why ID|ARN"),
    (["status", "--bogus"], "--bogus"), (["--bogus"], "--bogus"), ([], "usage: ecsctl")])
def test_a_wrong_command_line_ends_with_2(argv, says):
    r = run(ECSCTL, *argv, check=False)
    assert r.returncode == 2 and says in r.stderr and r.stdout == ""


def test_no_agent_is_said(tmp_path):
    r = run(ECSCTL, "--run-dir", tmp_path, "status", check=False)
    assert r.returncode == 1 and "no agent is running here" in r.stderr
