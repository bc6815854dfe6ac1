"""The commands of the local zones, to play with by hand.

Rule: what runs is owned by the fleet's supervisor, never by the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.answers import fleet_text
from harness.cli.terminal import heal_first, json_option, load, plan_argument, say
from harness.fleet import commands as fleet_commands
from harness.healing import heal
from harness.profiles import PROFILES

if TYPE_CHECKING:
    from pathlib import Path


@click.group(short_help="The local zones, to play with by hand.")
def fleet() -> None:
    """The local zones, to play with: experiments run against them with plain `chaos run`."""


@fleet.command("up")
@plan_argument
@json_option
def fleet_up(plan: Path, *, as_json: bool) -> None:
    """Start the zones of PLAN behind the edge, and leave them running."""
    from harness.collect import fleet_spec  # noqa: PLC0415 - collectors are slow to import

    heal_first()
    status = fleet_commands.fleet_up(
        fleet_spec(load(plan), PROFILES["standard"], fleet_commands.control_socket().parent)
    )
    say(status, fleet_text(status), as_json=as_json)


@fleet.command("status")
@json_option
def fleet_status(*, as_json: bool) -> None:
    """Show the zones that are up, after undoing what a killed experiment left broken in them."""
    try:
        heal_first()
    finally:  # whoever has to undo something by hand wants to see it all the same
        status = fleet_commands.fleet_status()
        say(status, fleet_text(status), as_json=as_json)


@fleet.command("down")
@json_option
def fleet_down(*, as_json: bool) -> None:
    """Stop the zones and everything that belongs to them."""
    try:
        fleet_commands.fleet_down()
    finally:  # what was broken in it is gone with it, whoever ended it
        heal_first()
    say({"down": True}, "the fleet is down", as_json=as_json)


@fleet.command("heal")
@json_option
def fleet_heal(*, as_json: bool) -> None:
    """Undo every fault that a killed experiment left behind, and end what belongs to no living run.

    Other commands do this by themselves before they start.
    """
    healed = heal()
    say(healed.facts(), healed.line() or "nothing was left broken", as_json=as_json)
    healed.require()
