"""The ``robobrain`` command with all its commands."""

from __future__ import annotations

import typer

from robobrain import __version__
from robobrain.cli import (
    bench,
    brain,
    branch,
    doctor,
    experiment,
    export,
    play,
    recording,
    render,
    replay,
    report,
    run,
    serve,
    status,
    train,
    view,
)

app = typer.Typer(
    name="robobrain",
    help="A spiking whole brain (NEST) with a mouse's forelimb (MuJoCo) at a joystick.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.command("status")(status.status)
app.command("replay")(replay.replay)
app.command("branch")(branch.branch)
app.add_typer(brain.app, name="brain")
app.command("report")(report.report)
app.command("compare")(report.compare)
app.command("export")(export.export)
app.command("render")(render.render)
app.add_typer(recording.app, name="recording")
app.add_typer(bench.app, name="bench")
app.command("play")(play.play)
app.command("view")(view.view)
app.add_typer(train.app, name="train")
app.command("experiment")(experiment.experiment)
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass
