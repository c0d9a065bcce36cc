"""The page about reports: its commands are ones."""

import re
from pathlib import Path

import pytest

from jaxfer.cli.main import parse

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
COMMANDS = re.findall(r"^jaxfer ([^#\n]+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command):
    assert parse(command.split())


def test_the_page_has_commands_of_every_kind():
    assert {command.split()[0] for command in COMMANDS} == {"train", "sweep", "report"}
