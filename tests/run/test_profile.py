from __future__ import annotations

import socket
import sys
from pathlib import Path

import dask
import pytest

from blpsim.errors import ConfigurationError
from blpsim.run.choice import profile_path, site_of
from blpsim.run.jobs import JobSite, _queued, job_script
from blpsim.run.keys import key_folder
from blpsim.run.profile import SCHEDULERS, read_profile
from blpsim.run.sites import AddressSite
from blpsim.run.workers import Workers
from blpsim.study.design import Design
from blpsim.workflow import run
from tests.study.toys import Median, Normals

ROOT = Path(__file__).parents[2]
LEAST = {"scheduler": '"slurm"', "memory": '"2GB"', "walltime": '"04:00:00"'}
FULL = {
    "workers_per_job": "4",
    "queue": '"general"',
    "account": '"project"',
    "interface": '"lo"',
    "setup": '["module load python", "source venv/bin/activate"]',
    "scratch": '"/scratch"',
    "logs": '"logs"',
}
DIRECTIVES = {
    "slurm": '["--constraint=avx2"]',
    "pbs": '["-m n"]',
    "sge": '["-pe smp 4"]',
    "lsf": '["-x"]',
    "htcondor": '["requirements = HasAVX2"]',
}


@pytest.fixture
def profile(tmp_path):
    def written(**values):
        lines = (f"{name} = {value}" for name, value in (LEAST | values).items() if value is not None)
        path = tmp_path / "profile.toml"
        path.write_text("\n".join(lines))
        return path

    return written


def script(path):
    text = job_script(read_profile(path))
    # Which Python, and how Dask names itself, is the environment's.
    return text.replace(sys.executable, "PYTHON").rstrip() + "\n"


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("kind", ["least", "full"])
def test_a_profile_s_job_script_is_the_one_that_was_checked_in(profile, scheduler, kind):
    values = {"scheduler": f'"{scheduler}"', "directives": DIRECTIVES[scheduler]}
    path = profile(**values, **FULL) if kind == "full" else profile(scheduler=values["scheduler"])
    assert script(path) == (Path(__file__).parent / "scripts" / f"{scheduler}-{kind}.txt").read_text()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_profiles_that_users_copy_are_profiles(scheduler):
    path = ROOT / "cluster" / f"{scheduler}.toml"
    assert read_profile(path).scheduler == scheduler
    # What is commented out can be switched on.
    text = path.read_text()
    options = [line[2:] for line in text.splitlines() if line.startswith("# ") and " = " in line]
    assert len(options) >= 7


def test_a_user_s_dask_configuration_changes_no_job(profile):
    path = profile()
    before = script(path)
    other = {"queue": "theirs", "cores": 9, "job-extra-directives": ["--exclusive"], "shebang": "#!/bin/zsh"}
    with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in other.items()}):
        assert script(path) == before


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"walltime": None}, "walltime = nothing: expected a job's longest time, such as 04:00:00"),
        ({"scheduler": None}, "scheduler = nothing: expected one of slurm, pbs"),
        ({"memory": None}, "memory = nothing: expected a worker's memory"),
        ({"scheduler": '"torque"'}, "Profile.scheduler = torque: expected one of slurm"),
        ({"time": '"1"'}, "= time: expected one of scheduler, memory, walltime"),
        ({"memory": '"2000"'}, "Profile.memory = 2000: expected a number and MB"),
        ({"memory": '"2gb"'}, "Profile.memory = 2gb: expected a number and MB"),
        ({"memory": "2000"}, "Profile.memory = 2000: expected"),
        ({"memory": '"100MB"'}, "expected at least 200MB"),
        ({"walltime": '"4h"'}, r"Profile.walltime = 4h: expected \[D-\]HH:MM:SS"),
        ({"walltime": '"240"'}, "Profile.walltime = 240: expected"),
        ({"walltime": '"00:01:00"'}, "expected at least 00:05:00"),
        ({"jobs": "0"}, "Profile.jobs = 0"),
        ({"jobs": "true"}, "Profile.jobs = True"),
        ({"workers_per_job": "1.5"}, "Profile.workers_per_job = 1.5"),
        ({"setup": '"module load python"'}, "Profile.setup"),
        ({"resources": '"h_vmem=1G"'}, "expected PBS or Grid Engine; slurm takes `directives`"),
        ({"disk": '"much"'}, "Profile.disk = much"),
        ({"queue": "["}, "expected a file in TOML"),
    ],
)
def test_a_profile_that_cannot_be_is_one_line_that_says_why(profile, values, said):
    with pytest.raises(ConfigurationError, match=said) as raised:
        read_profile(profile(**values))
    assert "\n" not in str(raised.value)


def test_profiles_are_found_by_path_and_by_name(tmp_path, monkeypatch, profile):
    monkeypatch.chdir(ROOT)
    assert profile_path("slurm") == Path("cluster/slurm.toml")
    assert isinstance(site_of(Workers(on="slurm")), JobSite)
    assert site_of(Workers(on="slurm")).slots == 20
    assert site_of(Workers(on=str(profile(workers_per_job="4")), number=3)).slots == 12
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="--on = slurm: expected local, array, the address"):
        site_of(Workers(on="slurm"))


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (Workers(on="tcp://127.0.0.1:1", number=3), "whoever started the scheduler"),
        (Workers(on="http://127.0.0.1:1"), "expected tcp://HOST:PORT or tls://HOST:PORT"),
        (Workers(on="nowhere.toml"), "--on = nowhere.toml: expected local"),
    ],
)
def test_a_place_that_cannot_be_is_refused(workers, said):
    with pytest.raises(ConfigurationError, match=said):
        site_of(workers)


def test_a_scheduler_file_without_an_address_is_refused(tmp_path):
    (tmp_path / "scheduler.json").write_text("{}")
    for name, said in ((tmp_path / "scheduler.json", "no address"), ("none.json", "No such file")):
        with pytest.raises(ConfigurationError, match=said):
            AddressSite(str(name)).connect(None)


@pytest.mark.parametrize(
    ("scheduler", "command", "prints", "expected"),
    [
        ("slurm", "squeue", "17\n18\n", {"17", "18"}),
        ("pbs", "qstat", "Job id  Name\n----\n17.server  blpsim  R\n18[].server x Q", {"17", "18"}),
        ("sge", "qstat", "job-ID prior\n-----\n     17 0.5 blpsim r\n", {"17"}),
        ("lsf", "bjobs", "17\n", {"17"}),
        ("htcondor", "condor_q", "17.0 2\n18.0 1\n", {"17.0", "18.0"}),
        ("slurm", "squeue", "", set()),
    ],
)
def test_the_queue_of_each_batch_system_is_read(tmp_path, monkeypatch, scheduler, command, prints, expected):
    (tmp_path / command).write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{prints}\nEND\n")
    (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _queued(scheduler) == expected
    (tmp_path / command).write_text("#!/bin/sh\necho 17\nexit 1\n")
    assert _queued(scheduler) is None


def test_keys_are_the_user_s_alone_and_those_of_killed_runs_are_removed(tmp_path):
    gone = tmp_path / f"keys-{socket.gethostname()}~{2**22 + 1}"
    elsewhere = tmp_path / f"keys-elsewhere~{2**22 + 1}"
    for path in (gone, elsewhere):
        path.mkdir()
        (path / "key").touch()
    with key_folder(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not gone.exists()
        assert elsewhere.exists()
    assert not folder.exists()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Profile.keys"), key_folder(tmp_path / "file"):
        pass


def test_a_batch_system_that_is_not_there_or_refuses_jobs_is_told_at_once(profile, tmp_path, monkeypatch):
    design = Design(name="d", seed=1, replications=1, scenarios={"n": Normals()}, estimators={"m": Median()})
    path = profile(interface='"lo"', keys=f'"{tmp_path / "keys"}"')
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ConfigurationError, match="there is no sbatch here"):
        run(design, tmp_path / "store", workers=Workers(on=str(path)))
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    with pytest.raises(ConfigurationError, match="sbatch: error: invalid partition"):
        run(design, tmp_path / "store", workers=Workers(on=str(path)))
    assert list((tmp_path / "keys").iterdir()) == []
