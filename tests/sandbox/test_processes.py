"""What a sandbox started is found again and ended; nothing else ever is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.local.processes import RECORD, ProcessError, Processes

FOREVER = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]


def test_another_command_ends_what_this_one_started(tmp_path: Path):
    started = Processes(tmp_path).start("one", FOREVER)
    assert started.alive()
    assert Processes(tmp_path).stop() == 1
    assert not started.alive()
    assert Processes(tmp_path).recorded() == []


def test_who_ignores_a_request_is_ended_all_the_same(tmp_path: Path):
    started = Processes(tmp_path).start("one", STUBBORN)
    assert Processes(tmp_path).stop(0.3) == 1
    assert not started.alive()


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path):
    mine = subprocess.Popen(FOREVER, stdout=subprocess.DEVNULL)
    try:
        record = {"name": "one", "pid": mine.pid, "started": 1}
        (tmp_path / RECORD).write_text(json.dumps(record) + "\n")
        assert Processes(tmp_path).stop() == 0
        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()


def test_who_ended_too_early_is_told_with_its_last_words(tmp_path: Path):
    processes = Processes(tmp_path)
    started = processes.start("one", [sys.executable, "-c", "raise SystemExit('no such file: settings')"])
    os.waitpid(started.pid, 0)
    with pytest.raises(ProcessError, match=r"^one ended: no such file: settings$"):
        processes.check(started)


def test_no_credential_of_this_shell_reaches_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN", "KUBECONFIG", "https_proxy"):
        monkeypatch.setenv(name, "planted")
    processes = Processes(tmp_path)
    started = processes.start("one", [sys.executable, "-c", "import os; print(dict(os.environ))"])
    os.waitpid(started.pid, 0)
    assert "planted" not in processes.last_words("one")
    assert "PATH" in processes.last_words("one")


def test_a_process_is_its_own_session_and_survives_the_terminals_end(tmp_path: Path):
    started = Processes(tmp_path).start("one", FOREVER)
    try:
        assert os.getsid(started.pid) == started.pid
    finally:
        os.kill(started.pid, signal.SIGKILL)
