"""`coldtrail simulate`: what its help and its refusals say."""

import pytest
from click.testing import CliRunner

from coldtrail_simulator.cli import simulate
from coldtrail_simulator.paths import SCENARIOS


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("nosuch", 2)])
def test_the_help_and_a_wrong_name_are_answered_with_the_shipped_scenarios(
    argument: str, code: int
) -> None:
    names = {path.stem for path in SCENARIOS.glob("*.toml")}
    assert "customs_hold" in names
    result = CliRunner().invoke(simulate, [argument])
    assert result.exit_code == code
    assert names <= set(result.output.replace(",", " ").replace(".", " ").split())
