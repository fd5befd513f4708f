"""The ``simulate`` command."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from coldtrail_simulator.board.file import BoardFileError
from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.report.report import lines, report
from coldtrail_simulator.services import tools
from coldtrail_simulator.services.process import ServiceError, ToolError
from coldtrail_simulator.shipment.packing import ShipmentError
from coldtrail_simulator.shipment.shipment import Shipment, run
from coldtrail_simulator.world import scenario as scenarios
from coldtrail_simulator.world.errors import ScenarioError
from coldtrail_simulator.world.scenario import Scenario

DISAGREES, BAD_INPUT, INVALID = 1, 2, 3
"""Exit codes: the records differ; the run is not possible as requested; the run is invalid."""
REFUSALS = (ScenarioError, ShipmentError, BoardFileError, ServiceError, ToolError, OSError)
"""Exceptions that mean that a run is not possible as requested."""


class _Failure(click.ClickException):
    def __init__(self, error: Exception, code: int) -> None:
        super().__init__(str(error))
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance


@click.command(
    short_help="Run a shipment in virtual time.",
    epilog=f"The shipped scenarios: {', '.join(scenarios.shipped())}.",
)
@click.argument("scenario", metavar="SCENARIO")
@click.option(
    "--seed",
    type=click.IntRange(0, 999_999),
    default=1,
    show_default=True,
    help="Decides everything that the scenario leaves open; the same seed gives the same run.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the results.  [default: out/SCENARIO]",
)
@click.option(
    "--broker",
    metavar="URL",
    envvar="COLDTRAIL_BROKER",
    help="Use this running broker, which must speak MQTT 5: mqtt://HOST[:PORT].  "
    "[default: start one]",
)
@click.option(
    "--console",
    is_flag=True,
    help="Open the tracker's console as a pseudo-terminal, OUT/console; the run then follows real "
    "time.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 1000),
    default=1.0,
    show_default=True,
    help="With --console: virtual seconds in one real second.",
)
@click.option(
    "--energy",
    is_flag=True,
    help="Print what each part draws and how long the battery lasts.",
)
def simulate(
    scenario: str,
    seed: int,
    out: Path | None,
    broker: str | None,
    console: bool,
    speed: float,
    energy: bool,
) -> None:
    """Run SCENARIO, a TOML file or the name of a shipped scenario, in virtual time.

    The tracker's own firmware runs on a real MicroPython; broker, gateway and database are real.
    Exit code 0: everything that was measured is stored and confirmed. 1: it is not. 2: the run is
    not possible. 3: the run proves nothing, because a program outside of it did not answer.
    """
    try:
        loaded = scenarios.load(scenario)
        folder = out or Path("out") / loaded.name
        shipment, twin = _run(loaded, seed, folder, broker, console=console, speed=speed)
        summary, _ = report(shipment, seed, twin, energy=energy)
    except REFUSALS as error:
        raise _Failure(error, BAD_INPUT) from error
    except RunInvalidError as error:
        raise _Failure(error, INVALID) from error
    click.echo(loaded.scenario.title)
    for line in lines(summary, shipment.traffic, folder):
        click.echo("  " + line)
    if energy and shipment.energy:
        for line in shipment.energy.lines():
            click.echo("  " + line)
    if not summary.good:
        raise SystemExit(DISAGREES)


def _run(
    scenario: Scenario, seed: int, out: Path, broker: str | None, *, console: bool, speed: float
) -> tuple[Shipment, Shipment | None]:
    """Run the shipment and, if the scenario has one, its control run on another core."""
    # Fetch programs before the progress bar starts, because a download shows its own bar.
    tools.micropython()
    if scenario.twin or not broker:
        tools.mosquitto()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:g} h"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with ProcessPoolExecutor(1) as pool, bar:
        twin = None
        if scenario.twin and not console:
            twin_out = out.with_name(out.name + "_twin")
            # The control run always has its own broker, because both runs simulate the same
            # tracker.
            twin = pool.submit(run, scenario.without_intervention(), seed, twin_out)
        task = bar.add_task(scenario.name, total=scenario.scenario.duration_h)
        shipment = run(
            scenario,
            seed,
            out,
            broker_url=broker,
            progress=lambda hours: bar.update(task, completed=hours),
            console=(lambda name, _: bar.console.print(f"console: {name}")) if console else None,
            speed=speed,
        )
        return shipment, twin.result() if twin else None
