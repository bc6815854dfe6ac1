"""Renders what makes a scheduler run gonogo again and again: cron, systemd, GitHub, GitLab or Kubernetes.

Rule: pure; the template loader is the only access to files. We bring no scheduler of our own. Every value is checked,
and then quoted by the rules of whoever reads it: no text can become structure, a variable or a second command.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.schedules.cron import Cron, CronError

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("cron", "systemd", "github", "gitlab", "k8s")
_KEPT = {"run": ("--runs", "/data/runs"), "drill": ("--drills", "/data/drills")}
"""What can be scheduled, and how it is told to keep its results side by side, on the volume of Kubernetes."""
LINE_MAX = 998
"""Debian's cron takes no longer command (MAX_COMMAND of its cron.h)."""
GITHUB_PAUSE_S = 300
"""GitHub starts no workflow more often than every five minutes."""
_FORMS = {
    "name": (r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?", "at most 50 lower-case letters, digits and dashes"),
    "namespace": (r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "a namespace's name"),
    "executable": (
        r"/[^\x00-\x1f\x7f'\"\\%$ ]+|[A-Za-z0-9._-]+",
        "a command's name, or its path without odd characters",
    ),
    "directory": (r"/([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?", "an absolute path in one line"),
    "image": (r"([a-z0-9][\w.:/@-]{0,510})?", "an image with its tag or digest, like registry.example/gonogo:1"),
    "cpu": (r"0*[1-9]\d*m?|\d+\.\d*[1-9]", "cores, like 2 or 500m"),
    "memory": (r"[1-9]\d*[KMG]i", "an amount of memory, like 4Gi"),
    "claim": (r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?", "a PersistentVolumeClaim's name"),
}


class ScheduleError(Exception):
    """A parameter that can't be scheduled; the text names it and says what it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is run, when, and where. Raises ScheduleError.

    `command` are the words after "gonogo". `executable` and `directory` are for schedulers on a machine, `image` for
    those that start containers. `variables` name what the environment must bring, secrets for the most part.
    `claim` is the volume that keeps the runs on Kubernetes; without one they go with the pod.
    """

    cron: str
    command: tuple[str, ...]
    name: str = "gonogo"
    directory: str = "/srv/gonogo"
    executable: str = "gonogo"
    image: str = ""
    namespace: str = "default"
    cpu: str = "2"
    memory: str = "4Gi"
    claim: str = ""
    limit_min: int = 60
    variables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (form, meaning) in _FORMS.items():
            _require(re.fullmatch(form, getattr(self, name), re.ASCII) is not None, name, getattr(self, name), meaning)
        _require(self.command[:1] in {(name,) for name in _KEPT}, "command", self.command[:1], "run or drill")
        for word in self.command:
            _require(word.isprintable(), "command", word, "printable, in one line")
        for name in self.variables:
            _require(re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None, "variable", name, "a variable's name")
        _require(self.limit_min >= 1, "limit_min", self.limit_min, "at least 1 minute")
        self.when()

    def when(self) -> Cron:
        """The parsed expression. Raises ScheduleError."""
        try:
            return Cron.parse(self.cron)
        except CronError as error:
            raise ScheduleError(f"cron: {error}") from error


def render(schedule: Schedule, kind: str) -> str:
    """The manifests of `kind`, one of FORMATS. Raises ScheduleError for what can't be said there."""
    if kind in {"github", "gitlab", "k8s"}:
        _require(bool(schedule.image), "image", "", "an image that holds gonogo, like registry.example/gonogo:1")
    return _RENDERERS[kind](schedule)


def _cron(schedule: Schedule) -> str:
    """A line of crontab(5), in which % ends the command unless a backslash stands before it."""
    _require(not schedule.variables, "variable", schedule.variables, "left out: cron passes none; refer to file:PATH")
    words = ["flock", "--nonblock", "--conflict-exit-code=75", f".{schedule.name}.lock"]
    words += ["timeout", "--kill-after=60", f"{schedule.limit_min}m", schedule.executable, *schedule.command]
    command = f"cd {shlex.quote(schedule.directory)} && {shlex.join(words)}".replace("%", "\\%")
    _require(len(command) <= LINE_MAX, "command", f"{command[:40]}…", f"at most {LINE_MAX} characters as cron reads it")
    return _template("crontab.jinja", schedule, json_values=False, line=f"{schedule.when().numbers()} {command}")


def _systemd(schedule: Schedule) -> str:
    command = " ".join([schedule.executable, *map(_systemd_quoted, schedule.command)])
    directory = schedule.directory.replace("%", "%%")
    calendar = schedule.when().calendar()
    return _template("systemd.jinja", schedule, json_values=False, line=command, folder=directory, calendar=calendar)


def _github(schedule: Schedule) -> str:
    when = schedule.when()
    _require(when.pause_s_min >= GITHUB_PAUSE_S, "cron", schedule.cron, "five minutes apart or more: GitHub's least")
    command = _without_expressions(shlex.join(["gonogo", *schedule.command]))
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in schedule.variables}
    return _template("github.yaml.jinja", schedule, line=command, numbers=when.numbers(), secrets=secrets)


def _gitlab(schedule: Schedule) -> str:
    command = shlex.join(["gonogo", *schedule.command])
    return _template("gitlab.yaml.jinja", schedule, line=command, numbers=schedule.when().numbers())


def _k8s(schedule: Schedule) -> str:
    """Kubernetes replaces $(NAME) in arguments, and takes two dollar signs for one."""
    arguments = [word.replace("$", "$$") for word in (*schedule.command, *_KEPT[schedule.command[0]])]
    labels = {"app.kubernetes.io/name": "gonogo", "app.kubernetes.io/instance": schedule.name}
    numbers = schedule.when().numbers()
    return _template("k8s.yaml.jinja", schedule, arguments=arguments, numbers=numbers, labels=labels)


_RENDERERS: dict[str, Callable[[Schedule], str]] = {
    "cron": _cron,
    "systemd": _systemd,
    "github": _github,
    "gitlab": _gitlab,
    "k8s": _k8s,
}


def _systemd_quoted(word: str) -> str:
    """A word of ExecStart by systemd.service(5): quoted, without specifiers and variables."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _without_expressions(text: str) -> str:
    """`text` in which GitHub finds no expression to evaluate but one that stands for its own beginning."""
    return text.replace("${{", "${{ '${{' }}")


def _template(file: str, schedule: Schedule, *, json_values: bool = True, **values: Any) -> str:
    known = {name: getattr(schedule, name) for name in Schedule.__slots__}
    return _templates(json_values=json_values).get_template(file).render(known | values)


@cache
def _templates(*, json_values: bool) -> Environment:
    return Environment(
        loader=PackageLoader("harness.schedules"),
        autoescape=False,  # noqa: S701 - not HTML: values are quoted above, or turned into JSON, which is YAML too
        finalize=(lambda value: json.dumps(value, ensure_ascii=False)) if json_values else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _require(holds: bool, name: str, value: object, meaning: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise ScheduleError(f"{name}: {str(value)!r} must be {meaning}")
