"""The cases in Renode, where Renode and an image for the chip are at hand."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.renode import run

IMAGE = os.environ.get("MICROPYTHON_NRF", "")
RENODE_TEST = os.environ.get("RENODE_TEST", "renode-test")


@pytest.mark.timeout(run.LIMIT_S + 60)
def test_the_cases_pass_in_renode(tmp_path: Path) -> None:
    if lacks := run.missing(IMAGE, RENODE_TEST):
        pytest.skip(lacks)
    assert run.run(IMAGE, RENODE_TEST, out=tmp_path / "renode") == 0


@pytest.mark.parametrize(
    ("image", "renode_test", "said"),
    [
        ("", "no-such-renode-test", "Renode is missing: there is no no-such-renode-test"),
        ("", "true", "without USB and UART flow control is missing: build it as"),
        ("/nowhere/firmware.hex", "true", "/nowhere/firmware.hex: No such file"),
        (__file__, "true", "is not MicroPython for the nRF52840"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(image: str, renode_test: str, said: str) -> None:
    done = CliRunner().invoke(run.main, ["--micropython", image, "--renode-test", renode_test])
    assert done.exit_code == 1
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
