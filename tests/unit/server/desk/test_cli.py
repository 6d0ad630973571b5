# SPDX-License-Identifier: Apache-2.0
"""The desk's commands at the server's console."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from server.config import Config, DatabaseSection
from server.console import Console
from server.desk import boxes
from server.desk.boxes import NewBox
from server.desk.cli import desk
from tests.unit.server.desk.office import Office


def told(office: Office, *words: str) -> Any:
    """Run a command on the office's database and return what it says in JSON."""
    url = office.database.url.render_as_string(hide_password=False)
    console = Console(Config(database=DatabaseSection(url=url)))
    done = CliRunner().invoke(desk, [*words, "--json"], obj=console, catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_open_jobs_and_boxes_are_listed(office: Office) -> None:
    """A job that waits for its card, and a box that nobody has touched."""
    job = office.create("issue", "wang")
    with office.database.writing() as session:
        boxes.open_box(session, office.bench, NewBox("甲盒", 3, [office.numbers["ou"]]))

    assert [row["reference"] for row in told(office, "jobs")["jobs"]] == [job.reference]
    assert told(office, "stock")["boxes"][0]["left"] == 3
    assert "王小明" not in str(told(office, "jobs", "--all"))
