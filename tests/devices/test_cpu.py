"""How many cores a process takes, and when."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxfer
from jaxfer.devices import cpu, tune_for_cpu
from jaxfer.devices.cpu import _granted, _memory_limits, cpu_cores, granted_memory
from jaxfer.errors import UserError


def python(program: str) -> str:
    """Return what a program prints in a fresh process, to which no test has set up JAX."""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    return finished.stdout.strip()


def test_every_core_becomes_a_device():
    program = "from jaxfer.devices import tune_for_cpu; tune_for_cpu(); import jax; print(jax.device_count())"
    assert python(program) == str(cpu_cores())


def test_asking_for_cores_after_jax_has_started_is_refused():
    jax.devices()
    with pytest.raises(UserError, match="tune_for_cpu\\(\\) comes too late"):
        tune_for_cpu()


def test_the_name_before_serves_with_a_warning(monkeypatch):
    calls = []
    monkeypatch.setattr(cpu, "tune_for_cpu", lambda: calls.append("tuned"))
    with pytest.warns(FutureWarning, match="use_cpu_cores\\(\\) is tune_for_cpu\\(\\) now"):
        jaxfer.use_cpu_cores()
    assert calls == ["tuned"]


BLOCKS = """
import ctypes, resource, threading
from jaxfer.devices import tune_for_cpu

tune_for_cpu()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    block = libc.malloc({size})
    ctypes.memset(block, 1, {size})
    libc.free(block)

def steps():
    step()
    before = faults()
    for _ in range(5):
        step()
    print(faults() - before)

thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


@pytest.mark.few(1)
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library keeps memory in its own way")
@pytest.mark.parametrize("mebibytes", [16, 500])
def test_a_block_as_large_as_a_step_needs_is_kept_for_the_next_one(mebibytes):
    faults = int(python(BLOCKS.format(size=mebibytes << 20)))
    assert faults < mebibytes, "a block handed back costs 256 page faults a mebibyte each time"


HUGE = """
import re
from pathlib import Path
from jaxfer.devices import tune_for_cpu

tune_for_cpu()
mappings = re.findall(r"^Size: +(\\d+) kB.*?^VmFlags: (.*?)$", Path("/proc/self/smaps").read_text(), re.M | re.S)
print(sum(int(size) for size, flags in mappings if "hg" in flags.split()) >> 10)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="no huge pages here",
)
def test_memory_of_steps_is_asked_for_in_huge_pages():
    assert int(python(HUGE)) > 1000


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_a_process_bound_to_one_core_takes_one():
    program = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    program += "from jaxfer.devices.cpu import cpu_cores; print(cpu_cores())"
    assert python(program) == "1"


def control_groups(folder, group, **limits):
    """Write control groups as Linux shows them; in names of limits `__` stands for a slash."""
    groups, mounted = folder / "groups", folder / "mounted"
    groups.write_text(f"3:cpuset:/\n0::{group}\n")
    for name, text in limits.items():
        file = mounted / f"{name.replace('__', '/')}.max"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return groups, mounted


def test_the_time_granted_to_a_container_counts(tmp_path):
    assert _granted(*control_groups(tmp_path, "/", cpu="250000 100000\n")) == 2.5


def test_the_tightest_of_nested_groups_counts(tmp_path):
    limits = {"jobs__cpu": "400000 100000", "jobs__mine__cpu": "max 100000", "others__cpu": "100000 100000"}
    assert _granted(*control_groups(tmp_path, "/jobs/mine", **limits)) == 4


def test_groups_of_the_first_version_count(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("150000\n")
    assert _granted(tmp_path / "none", tmp_path) == 1.5
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert _granted(tmp_path / "none", tmp_path) > 1e6


def test_without_control_groups_every_core_is_granted(tmp_path):
    assert _granted(tmp_path / "none", tmp_path) > 1e6


@pytest.mark.parametrize(("granted", "cores"), [(0.5, 1), (1e9, None)])
def test_a_process_has_at_least_one_core_and_no_more_than_it_may_run_on(granted, cores, monkeypatch):
    monkeypatch.setattr("jaxfer.devices.cpu._granted", lambda *_: granted)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cpu_cores() == (cores or allowed)


def test_memory_is_what_the_tightest_group_grants(tmp_path):
    groups, mounted = tmp_path / "cgroup", tmp_path / "fs"
    groups.write_text("0::/batch/job\n")
    (mounted / "batch/job").mkdir(parents=True)
    (mounted / "batch/job/memory.max").write_text("max\n")
    (mounted / "batch/memory.max").write_text("4096\n")
    assert _memory_limits(groups, mounted) == [4096]
    (mounted / "memory").mkdir()
    (mounted / "memory/memory.limit_in_bytes").write_text("2048\n")
    assert _memory_limits(groups, mounted) == [4096, 2048]
    assert _memory_limits(tmp_path / "none", tmp_path / "none") == []


def test_no_more_memory_is_granted_than_the_machine_has():
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < granted_memory() <= machine
