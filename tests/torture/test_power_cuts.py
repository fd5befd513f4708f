"""The torture itself: it replays its cases exactly, and it finds what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from coldtrail.log import mounting
from coldtrail.log.sectors import DATA, Sectors
from tests.torture import power_cuts
from tests.torture.power_cuts import GEOMETRIES, Bench, Wrong, run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_sample_of_every_geometry(name):
    """About one case in a thousand; `make test` judges 100,000 and `make torture` all."""
    count = run(name, seed=0, part=5, parts=3 * power_cuts.PARTS, share=0.05)
    assert count.distinct > 100
    assert count.failures == []


def test_the_workload_goes_round_the_ring_several_times():
    for name in GEOMETRIES:
        bench = Bench(name, 0)
        array = bench.moments[-1].array
        in_service = [wear for wear in array.wear if wear > 1]
        assert len(in_service) >= 4
        assert max(in_service) >= 3, name


def careless(log, record):
    """Take the last record as it reads now."""
    log.next = record[1] + 1
    return True


def hasty(log, record):
    """Write on where the last valid record ends."""
    log.next = record[1] + 1
    log.end = record[0] + log.sectors.space(record[3])
    return True


def trusting(log):
    """Leave a torn opening as it is found."""


def hurried(sectors, sector):
    """Void a header and call the sector retired in one program."""
    sectors.zero(sector, 0, DATA)


@pytest.mark.parametrize(
    ("geometry", "owner", "step", "broken"),
    [
        ("w25q", mounting, "secure", careless),
        ("w25q", mounting, "secure", hasty),
        ("w25q", mounting, "prepare", trusting),
        ("stuck", Sectors, "retire", hurried),
    ],
)
def test_it_finds_a_log_that_settles_nothing(geometry, owner, step, broken, monkeypatch):
    monkeypatch.setattr(owner, step, broken)
    count = run(geometry, seed=0, part=0, parts=1, share=0.0)
    assert count.failures
    assert count.lost + count.accepted == len(count.failures)
    # By its id each is the same case again.
    name, seed, first, second = power_cuts.parse(count.failures[0].split()[0])
    with pytest.raises(Wrong):
        Bench(name, seed).judge(first, second)


def test_a_case_can_be_run_again_by_its_id():
    case = "w25q:0:40.mixed.zeros:1.threshold.ones"
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.power_cuts", case],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [f"{case}: passed"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    "case",
    [
        "w25q:0:10.nearly.ones:0.mixed.random",
        "w25q:0:30.threshold.random:1.mixed.random",
        "overwrite:0:49.threshold.zeros:4.threshold.ones",
        "nrf:0:12.prefix.ones:0.subset.ones",
        "bad:0:156.barely.ones",
        "bad:0:156.threshold.zeros",
    ],
)
def test_cases_that_were_hard(case):
    name, seed, first, second = power_cuts.parse(case)
    Bench(name, seed).judge(first, second)
