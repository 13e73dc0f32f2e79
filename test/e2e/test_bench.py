"""The bench runs and has every row. Its figures are judged by people, not by tests."""
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import BIN

ROWS = ("start to registration", "CPU idle", "PSS idle", "one task, payload to RUNNING", "burst of 5",
        "PSS 10 tasks", "v4 container, 50 connections", "v4 task, 50 connections", "all killed",
        "metadata worker killed")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces and a dockerd")
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
def test_the_quick_bench_has_every_row():
    run = pathlib.Path(__file__).resolve().parents[1] / "bench" / "run"
    r = subprocess.run([str(run), "--quick"], capture_output=True, text=True,
                       env={**os.environ, "ECS_TEST_BIN": str(BIN)})
    assert r.returncode == 0, r.stdout + r.stderr
    rows = [line.strip("| ").split("|")[0].strip() for line in r.stdout.splitlines()
            if line.startswith("|")]
    assert [what for what in ROWS if not any(row.startswith(what) for row in rows)] == []
    assert all(any(c.isdigit() for c in line) for line in r.stdout.splitlines()
               if line.startswith("| ") and line.strip("| ").startswith(ROWS))
