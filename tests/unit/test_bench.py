"""The bench's own parts: what it watches is ended where it takes too much, and what cannot be compared is not compared."""

import os
from pathlib import Path

import pytest
import yaml

from bench.processes import LimitError, Limits, watched
from bench.synthetic import ROOT, tree
from bench.tenants import compared, project
from components.settings import CONFIG_KEY, load
from sandbox.session import program_file

FREE = Limits(seconds=600, mib=4096)
HOLDS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); held = b'x' * (400 << 20); time.sleep(600)"
STARTS = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]])"


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and is not yet collected does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"


def test_memory_of_a_process_that_was_started_by_another_counts_and_both_are_ended(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(LimitError, match=r"held .* MiB after .* s, and 300 were given"):
        watched(("-c", STARTS, HOLDS, str(file)), Limits(seconds=600, mib=300))
    assert not alive(int(file.read_text()))


def test_what_takes_too_long_is_ended_and_named() -> None:
    with pytest.raises(LimitError, match="not finished after 0 s"):
        watched(("-c", "import time; time.sleep(600)"), Limits(seconds=0, mib=4096))


def test_cpu_seconds_of_a_child_are_counted() -> None:
    works = "import time\nwhile time.process_time() < 1: pass"
    used = watched(("-c", STARTS, works, ""), FREE)
    assert used.cpu_seconds > 0.5
    assert used.peak_mib > 1


def test_a_run_that_fails_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="failed"):
        watched(("-c", "raise SystemExit(3)"), FREE)


def test_the_written_project_is_the_program_itself_with_settings_that_load() -> None:
    arguments = dict(zip(*[iter(project(3, 1)[:4])] * 2, strict=True))
    folder = Path(arguments["--project"])
    assert program_file(folder) == ROOT / "__main__.py"
    config = yaml.safe_load((folder / f"Pulumi.{arguments['--stack']}.yaml").read_text())["config"]
    assert config[CONFIG_KEY] == tree(3, regions=1)
    assert set(load(config[CONFIG_KEY]).tenants) == {"shared", "tenant-0001", "tenant-0002", "tenant-0003"}
    assert os.sep + "build" + os.sep in str(folder)


def found(regions: int, seconds: float) -> dict[str, object]:
    used = {"cpu_seconds": seconds, "peak_mib": seconds, "seconds": seconds}
    return {"regions": regions, "resources": 1, "program": used, "floor": {**used, "cpu_seconds": seconds / 2}}


def test_sizes_measured_alike_are_compared() -> None:
    result = compared({2: found(1, 2.0), 20: found(1, 20.0), 200: found(1, 200.0)})
    assert result["growth"]["cpu_seconds"] == {"per_tenant": 1.0, "marginal": 1.0}
    assert result["program_over_floor"] == {"2": 2.0, "20": 2.0, "200": 2.0}


@pytest.mark.parametrize("large", [found(1, 200.0), {"refused": ["200 tenants in 1 regions: too much"]}])
def test_sizes_in_other_regions_or_none_are_not_compared(large: dict[str, object]) -> None:
    result = compared({2: found(2, 2.0), 20: found(2, 20.0), 200: large})
    assert result["growth"] is None
    assert "not every size" in result["reason"]
