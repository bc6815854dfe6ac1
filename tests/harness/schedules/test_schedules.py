"""Each format's own reader takes what is printed, and hands gonogo exactly the words meant, whatever is in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli.scheduling import FORMATS as OFFERED
from harness.schedules import FORMATS, Schedule, ScheduleError, render
from tests.harness.schedules.test_cron import needs_systemd
from tests.harness.test_deploy import HOSTILE, NEWEST, OLDEST

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Schedule(cron="0 3 * * 1", command=("run", "readiness.toml"), image="registry.example/gonogo:1")
FULL = replace(
    PLAIN,
    cron="*/20 2-4 * jan-nov sun",
    command=("drill", "data_loss", "my plan.toml"),
    name="gonogo-drill-data-loss",
    directory="/srv/my service",
    namespace="launch",
    claim="runs",
    limit_min=90,
)
HOSTILE_WORDS = (
    *HOSTILE,
    "100%", "%h", "$HOME", "$$", "$(date)", "${{ secrets.TOKEN }}", "$[[ inputs.x ]]", "!x", "~", "\\", "a\\%b",
)  # fmt: skip
CALM_WORDS = st.lists(st.text(st.characters(exclude_categories=["C", "Z"])).filter(str.isprintable), max_size=3)
CHECKED = pytest.mark.parametrize("schedule", [PLAIN, FULL], ids=["plain", "full"])


def with_words(*words: str) -> Schedule:
    return replace(PLAIN, command=("run", *words))


def test_the_command_offers_every_format() -> None:
    assert OFFERED == FORMATS


# GitHub and GitLab: by their own schemas, which check-jsonschema brings.


def objections(text: str, folder: Path, schema: str, *options: str) -> str:
    path = folder / "manifest.yaml"
    path.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout


@CHECKED
def test_github_and_gitlab_take_them_by_their_schemas(schedule: Schedule, tmp_path: Path) -> None:
    full = replace(schedule, variables=("HOOK", "TOKEN"))
    for text in (render(schedule, "github"), render(full, "github")):
        assert objections(text, tmp_path, "github-workflows") == ""
    assert objections(render(full, "gitlab"), tmp_path, "gitlab-ci", "--data-transform", "gitlab-ci") == ""


def test_what_their_schemas_do_not_know_would_be_found(tmp_path: Path) -> None:
    text = render(PLAIN, "github").replace("timeout-minutes:", "timeout-hours:")
    assert "timeout-hours" in objections(text, tmp_path, "github-workflows")
    text = render(PLAIN, "gitlab").replace("resource_group:", "resource_groups:")
    assert "resource_groups" in objections(text, tmp_path, "gitlab-ci", "--data-transform", "gitlab-ci")


def test_githubs_secrets_come_by_name_and_only_those() -> None:
    (_, step, _) = yaml.safe_load(render(replace(PLAIN, variables=("HOOK",)), "github"))["jobs"]["gonogo"]["steps"]
    assert step["env"] == {"HOOK": "${{ secrets.HOOK }}"}
    assert "secrets." not in render(PLAIN, "github")


def test_github_starts_nothing_more_often_than_every_five_minutes() -> None:
    assert "*/5" not in render(replace(PLAIN, cron="*/5 * * * *"), "github"), "in numbers"
    with pytest.raises(ScheduleError, match="five minutes apart"):
        render(replace(PLAIN, cron="*/4 * * * *"), "github")


# Kubernetes: by the API's schemas, oldest and newest.


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@CHECKED
def test_kubernetes_takes_it_and_knows_every_field(schedule: Schedule, version: str) -> None:
    document = cron_job(replace(schedule, variables=("HOOK",)))
    assert kubernetes_validate.validate(document, version, strict=True) == version
    pod = document["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["env"][1]["valueFrom"]["secretKeyRef"] == {"name": schedule.name, "key": "HOOK"}
    assert document["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == schedule.limit_min * 60
    assert document["spec"]["schedule"] == schedule.when().numbers()


def cron_job(schedule: Schedule) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render(schedule, "k8s"))
    return document


# systemd: by its own linter.


def units(schedule: Schedule, folder: Path) -> list[Path]:
    """The service and the timer, each in its file."""
    parts = re.split(r"^# /etc/systemd/system/(\S+)\n", render(schedule, "systemd"), flags=re.MULTILINE)
    files = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(files) == [f"{schedule.name}.service", f"{schedule.name}.timer"]
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]


@needs_systemd
@CHECKED
def test_systemd_finds_nothing_wrong(schedule: Schedule, tmp_path: Path) -> None:
    here = replace(schedule, executable="/bin/true", directory=str(tmp_path))
    assert verified(units(here, tmp_path)) == ""


@needs_systemd
def test_systemd_would_find_what_it_does_not_know(tmp_path: Path) -> None:
    files = units(replace(PLAIN, executable="/bin/true", directory=str(tmp_path)), tmp_path)
    files[1].write_text(files[1].read_text().replace("OnCalendar=Mon", "OnCalendar=Moonday"))
    assert "Moonday" in verified(files)


@needs_systemd
@pytest.mark.parametrize("word", HOSTILE_WORDS)
def test_systemd_takes_hostile_words_as_words(word: str, tmp_path: Path) -> None:
    here = replace(with_words(word), executable="/bin/true", directory=str(tmp_path))
    assert verified(units(here, tmp_path)) == ""
    assert exec_start(units(here, tmp_path)[0]) == ["/bin/true", "run", word]


def verified(files: list[Path]) -> str:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    own = [line for line in done.stderr.splitlines() if any(file.name in line for file in files)]
    return "\n".join(own) if own or done.returncode == 0 else done.stderr


def exec_start(service: Path) -> list[str]:
    """The words of ExecStart, read by the rules of systemd.service(5): quotes, escapes, specifiers, variables."""
    (line,) = re.findall(r"^ExecStart=(.*)$", service.read_text(), flags=re.MULTILINE)
    executable, _, rest = line.partition(" ")
    words = re.findall(r'"((?:[^"\\]|\\.)*)"(?: |$)', rest)
    assert " ".join(f'"{word}"' for word in words) == rest
    assert not any(re.search(r"%[^%]", word.replace("%%", "")) for word in words)
    assert not any("$" in word.replace("$$", "") for word in words)
    unquoted = [re.sub(r"\\(.)", r"\1", word) for word in words]
    return [executable, *(word.replace("%%", "%").replace("$$", "$") for word in unquoted)]


# What gonogo is given in the end, by the shells and readers that stand between.


@pytest.fixture(scope="module")
def gonogo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a command called gonogo that says what it was given, and fails as a NO-GO does."""
    folder = tmp_path_factory.mktemp("bin with space")
    script = folder / "gonogo"
    script.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([os.getcwd(), *sys.argv[1:]]))\nsys.exit(1)\n"
    )
    script.chmod(0o755)
    return folder


def given_words(command: str, shell: str, folder: Path) -> list[str]:
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": "/nowhere"}
    done = subprocess.run(
        [shell, "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1, "a NO-GO is a failure there too"
    words: list[str] = json.loads(done.stdout)
    return words[1:]


def as_cron_reads(line: str) -> str:
    """The command of a crontab's line: after five fields; an unescaped % would end it (crontab(5))."""
    command = line.split(maxsplit=5)[5]
    assert not re.search(r"(?<!\\)%", command)
    return command.replace("\\%", "%")


def by_cron(words: list[str], folder: Path) -> list[str]:
    text = render(replace(with_words(*words), directory=str(folder)), "cron")
    (line,) = [line for line in text.splitlines() if not line.startswith("#")]
    return given_words(as_cron_reads(line), "/bin/sh", folder)


def by_github(words: list[str], folder: Path) -> list[str]:
    steps = yaml.safe_load(render(with_words(*words), "github"))["jobs"]["gonogo"]["steps"]
    assert set(re.findall(r"\$\{\{(.*?)\}\}", steps[1]["run"])) <= {" '${{' "}, "no expression but its own beginning"
    return given_words(steps[1]["run"].replace("${{ '${{' }}", "${{"), shutil.which("bash") or "bash", folder)


def by_gitlab(words: list[str], folder: Path) -> list[str]:
    (job,) = yaml.safe_load(render(with_words(*words), "gitlab")).values()
    (command,) = job["script"]
    return given_words(command, "/bin/sh", folder)


def by_kubernetes(words: list[str], folder: Path) -> list[str]:
    del folder
    (container,) = cron_job(with_words(*words))["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    arguments = container["args"]
    assert not any(re.search(r"(?<!\$)(\$\$)*\$\(", word) for word in arguments), "nothing is expanded"
    assert arguments[-2:] == ["--runs", "/data/runs"]
    return [word.replace("$$", "$") for word in arguments[:-2]]


READERS = [by_cron, by_github, by_gitlab, by_kubernetes]


@pytest.mark.parametrize("reader", READERS)
def test_hostile_words_stay_words(reader: Any, gonogo: Path) -> None:
    assert reader([*HOSTILE_WORDS], gonogo) == ["run", *HOSTILE_WORDS]


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=15)
@given(words=CALM_WORDS)
def test_any_words_stay_words(reader: Any, gonogo: Path, words: list[str]) -> None:
    assert reader(words, gonogo) == ["run", *words]


def test_a_cron_that_is_still_at_it_leaves_the_next_one_out(gonogo: Path) -> None:
    text = render(replace(PLAIN, directory=str(gonogo)), "cron")
    command = as_cron_reads(text.splitlines()[-1])
    holding = subprocess.Popen(["flock", str(gonogo / ".gonogo.lock"), "sleep", "30"])
    try:
        wait = "until ! flock --nonblock .gonogo.lock true; do sleep 0.02; done; "
        done = subprocess.run(["/bin/sh", "-c", wait + command], cwd=gonogo, timeout=20, check=False)
        assert done.returncode == 75
    finally:
        holding.terminate()
        holding.wait()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (name, value)
            for name in ("name", "namespace", "image", "cpu", "memory", "claim")
            for value in ("a b", 'x"', "x\ny", "é")
        ),
        *(("directory", value) for value in ("relative", "", "/a\nb", "/a ", "/a\x7f")),
        *(("executable", value) for value in ("", "a b", "/a b", "-x/", "/x\n", "/$x", "/%n", '/"', "./gonogo")),
        *(("variables", (value,)) for value in ("", "A B", "1A", "A=B", "é")),
        *(("command", ("run", value)) for value in ("a\nb", "\x00", "\u2028", "\x7f")),
        *(("command", value) for value in ((), ("init",), ("",))),
        *(("cron", value) for value in ("", "@daily", "0 3 1 * 1")),
        ("limit_min", 0),
    ],
)
def test_what_cannot_be_scheduled_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ScheduleError, match=rf"^{field.removesuffix('s')}"):
        replace(PLAIN, **{field: value})


def test_what_a_format_cannot_do_is_refused() -> None:
    for kind in ("github", "gitlab", "k8s"):
        with pytest.raises(ScheduleError, match=r"^image"):
            render(replace(PLAIN, image=""), kind)
    with pytest.raises(ScheduleError, match="refer to file:PATH"):
        render(replace(PLAIN, variables=("HOOK",)), "cron")
    with pytest.raises(ScheduleError, match="998 characters"):
        render(with_words("x" * 999), "cron")
