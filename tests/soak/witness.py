"""The checks of a soak: promises that must hold, whatever was killed; pure.

The operations' own journals say what was done, the client's handles what was asked for, and smurfq what came of it.
Each check compares two of these and yields what does not fit, with the evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FINAL_STATES = ("SUCCESS", "FAILURE", "REVOKED")
HARM_BEFORE_S = 60.0  # a task that never began may have been harmed so long before it was given up
_SLACK_S = 3.0


@dataclass(frozen=True)
class Line:
    """One line of a journal: ``at`` is in s of CLOCK_MONOTONIC."""

    what: str
    task_id: str
    pid: int
    at: float
    detail: str = "-"


@dataclass(frozen=True)
class Submitted:
    """What was asked for: ``after`` are the tasks whose success it waits for, ``refused`` says that Redis was away."""

    task_id: str
    slot: str
    kind: str
    value: str | None = None
    journalled: bool = True
    fails: bool = False
    after: tuple[str, ...] = ()
    refused: bool = False


@dataclass(frozen=True)
class Ended:
    """What smurfq says of a task: Celery's state and result, and the record; when, in s of CLOCK_MONOTONIC."""

    state: str
    result: Any = None
    record: Mapping[str, Any] | None = None
    at: float | None = None
    began: float | None = None


@dataclass(frozen=True)
class Harm:
    """A time in which something was done that may end an operation of a slot."""

    what: str
    slot: str
    began: float
    ended: float


@dataclass(frozen=True)
class Told:
    """What somebody who waited was told: a state, or that the waiting itself failed."""

    task_id: str
    way: str
    said: str


@dataclass
class Evidence:
    """All that is known after a soak."""

    journals: dict[str, list[Line]] = field(default_factory=dict)
    submitted: dict[str, Submitted] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    harms: list[Harm] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    asked_to_tell: set[tuple[str, str]] = field(default_factory=set)  # (task id, way)
    orphans: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)  # the local paths in the archive's database, in its order

    def lines_of(self, task_id: str) -> list[Line]:
        """What a task itself wrote down, on whichever slot."""
        return self._by_task.get(task_id, [])

    @cached_property
    def _by_task(self) -> dict[str, list[Line]]:
        """The journals by task; those of an hour have some 100,000 lines."""
        found: dict[str, list[Line]] = {}
        for lines in self.journals.values():
            for line in lines:
                found.setdefault(line.task_id, []).append(line)
        return found


@dataclass(frozen=True)
class Breach:
    """One thing that is not as promised."""

    check: str
    task_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.task_id}: {self.text}"


Check = Callable[[Evidence], Iterator[tuple[str, str]]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Have ``breaches`` make this check."""
    CHECKS[function.__name__] = function
    return function


def breaches(evidence: Evidence) -> list[Breach]:
    """All that is not as promised."""
    return [Breach(name, task_id, text) for name, function in CHECKS.items() for task_id, text in function(evidence)]


def read(journal: Path) -> list[Line]:
    """The lines of a slot's journal, in the order in which they were written."""
    lines = [text.split(maxsplit=4) for text in journal.read_text().splitlines()] if journal.exists() else []
    return [Line(what, task_id, int(pid), float(at), detail) for what, task_id, pid, at, detail in lines]


@check
def run_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No operation runs twice, on whatever slots."""
    starts = Counter(line.task_id for lines in evidence.journals.values() for line in lines if line.what == "start")
    for task_id, times in starts.items():
        if times > 1:
            yield task_id, f"begun {times} times: {_starts(evidence, task_id)}"


@check
def two_at_once(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No two operations run on a slot at once; what one has left behind counts as running."""
    for slot, lines in evidence.journals.items():
        last = {line.task_id: line for line in lines}
        begun: dict[str, Line] = {}
        for line in lines:
            if line.what != "start":
                continue
            for other in begun:
                if other != line.task_id and last[other].at > line.at:
                    yield (
                        line.task_id,
                        f"begun on {slot} at {line.at:.3f} by process {line.pid}, while {other} still ran: its last "
                        f"line is {last[other].what!r} of process {last[other].pid}, at {last[other].at:.3f}",
                    )
            begun = {task_id: first for task_id, first in begun.items() if last[task_id].at > line.at}
            begun[line.task_id] = line


@check
def without_end(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """All that was accepted comes to a final state, in Celery and in the record."""
    for task_id, asked in evidence.submitted.items():
        ended = evidence.ended[task_id]
        began = bool(evidence.lines_of(task_id))
        if asked.refused and not began and ended.state == "PENDING":
            continue  # it was refused, and nothing came of it
        if ended.state not in FINAL_STATES:
            yield task_id, f"{asked.kind} on {asked.slot} has no final state but {ended.state}: {_short(ended)}"
        elif ended.record is not None and ended.record["status"] != "done":
            yield task_id, f"Celery says {ended.state}, the record is {ended.record['status']}"


@check
def said_otherwise(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """The record and Celery say the same of the end."""
    for task_id, ended in evidence.ended.items():
        record = ended.record
        if record is None or record["status"] != "done" or ended.state not in FINAL_STATES:
            continue
        if bool(record["success"]) != (ended.state == "SUCCESS"):
            yield task_id, f"the record says {record['outcome']}, Celery {ended.state}"


@check
def untrue_success(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is said to have succeeded did come to its end."""
    for task_id, asked in evidence.submitted.items():
        if asked.journalled and evidence.ended[task_id].state == "SUCCESS":
            lines = evidence.lines_of(task_id)
            if not any(line.what == "end" for line in lines):
                yield task_id, f"SUCCESS, but its journal ends with {lines[-1] if lines else 'nothing'}"


@check
def result_lost(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A success has its value, as the operation printed it."""
    for task_id, asked in evidence.submitted.items():
        ended = evidence.ended[task_id]
        if ended.state != "SUCCESS" or asked.value is None:
            continue
        log = ended.result.get("log", "") if isinstance(ended.result, dict) else ""
        if f"value {asked.value}\n" not in log:
            yield task_id, f"{asked.value!r} is not in its result: {str(ended.result)[:300]}"


@check
def failed_without_cause(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Only what was harmed, was planned to fail, or follows such a task may end without success."""
    for task_id, asked in evidence.submitted.items():
        ended = evidence.ended[task_id]
        if ended.state not in FINAL_STATES or ended.state == "SUCCESS" or asked.fails:
            continue
        if any(_not_successful(evidence, before) for before in asked.after):
            continue
        lines = evidence.lines_of(task_id)
        until = ended.at if ended.at is not None else lines[-1].at if lines else None
        since = lines[0].at if lines else ended.began or (until or 0.0) - HARM_BEFORE_S
        if until is None or not _harmed(evidence, asked.slot, since - _SLACK_S, until + _SLACK_S):
            seen = f"its journal ends with {lines[-1].what!r}" if lines else "it never began"
            yield task_id, f"{asked.kind} on {asked.slot} ended without a cause; {seen}: {_short(ended)}"


@check
def out_of_turn(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A step of a chain or the body of a chord begins after all it waits for has come to its end."""
    for task_id, asked in evidence.submitted.items():
        starts = [line.at for line in evidence.lines_of(task_id) if line.what == "start"]
        for before in asked.after if starts else ():
            ends = [line.at for line in evidence.lines_of(before) if line.what == "end"]
            if evidence.submitted[before].journalled and not (ends and ends[0] < min(starts)):
                yield task_id, f"begun at {min(starts):.3f}, though {before} came to its end at {ends or 'no time'}"


@check
def message_lost(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each message that an operation sent is in its record, or the record says that messages are missing."""
    for task_id, record, sent, missing in _messages(evidence):
        said = int(record["lost"] or 0)
        if len(missing) > said and record["complete"]:
            yield task_id, f"{len(missing)} of {len(sent)} messages are missing ({missing}), and it says {said}"


@check
def message_of_another(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No record has a message of another operation."""
    for task_id, ended in evidence.ended.items():
        record = ended.record or {}
        foreign = {value for name, value in record.get("data", {}).items() if name[1:].isdigit() and value != task_id}
        foreign |= {
            text.split()[1] for _, text in record.get("messages", []) if _is_ours(text) and text.split()[1] != task_id
        }
        if foreign:
            yield task_id, f"its record has messages of {', '.join(sorted(foreign))}"


@check
def told_otherwise(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Who waits for an outcome is told it."""
    told = {(each.task_id, each.way): each.said for each in evidence.told}
    for task_id, way in sorted(evidence.asked_to_tell):
        ended = evidence.ended[task_id]
        said = told.get((task_id, way))
        if said is None and ended.state in FINAL_STATES:
            yield task_id, f"ended as {ended.state}, and who waited for it by {way} was not told"
        elif said is not None and said != ended.state:
            yield task_id, f"ended as {ended.state}, and who waited for it by {way} was told {said}"


@check
def archived_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No file has two rows in the archive; no operation changes a file."""
    for path, times in Counter(evidence.archived).items():
        if times > 1:
            yield "-", f"{path} has {times} rows in the archive"


@check
def not_archived(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each file of a record is in the archive, in the order of the record, and the record says that it is there."""
    places = {path: place for place, path in reversed(list(enumerate(evidence.archived)))}
    for task_id, ended in evidence.ended.items():
        files = [file for file in (ended.record or {}).get("files", []) if _is_announced(file)]
        for file in files:
            if file["path"] not in places:
                yield task_id, f"{file} is not in the archive"
            elif not file.get("registered"):
                yield task_id, f"{file['path']} is in the archive, and the record does not say so"
        found = [places[file["path"]] for file in files if file["path"] in places]
        if found != sorted(found):
            yield task_id, f"its files are in the archive in another order: {[evidence.archived[at] for at in found]}"


@check
def left_behind(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No process is left when the site is down."""
    for orphan in evidence.orphans:
        yield "-", orphan


def messages(evidence: Evidence) -> tuple[int, int]:
    """How many messages were sent by what has ended and has a record, and how many of them are not in it."""
    counted = [(len(sent), len(missing)) for _, _, sent, missing in _messages(evidence)]
    return sum(sent for sent, _ in counted), sum(missing for _, missing in counted)


def _messages(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any], set[int], list[int]]]:
    """By operation that has ended: its record, the numbers of the messages it sent, and which are not in the record."""
    for task_id, ended in evidence.ended.items():
        if ended.record is not None and ended.record["status"] == "done":
            sent = {int(line.detail) for line in evidence.lines_of(task_id) if line.what == "sent"}
            yield task_id, ended.record, sent, sorted(sent - _received(ended.record))


def _starts(evidence: Evidence, task_id: str) -> str:
    return ", ".join(
        f"{slot} at {line.at:.3f} by process {line.pid}"
        for slot, lines in evidence.journals.items()
        for line in lines
        if line.task_id == task_id and line.what == "start"
    )


def _not_successful(evidence: Evidence, task_id: str) -> bool:
    return evidence.ended[task_id].state != "SUCCESS"


def _harmed(evidence: Evidence, slot: str, since: float, until: float) -> bool:
    return any(harm.slot == slot and harm.began <= until and harm.ended >= since for harm in evidence.harms)


def _received(record: Mapping[str, Any]) -> set[int]:
    """The numbers of the messages that a record has; the Publisher's first is said in other words."""
    texts = [text for _, text in record["messages"]]
    numbers = {int(name[1:]) for name in record["data"] if name[:1] == "k" and name[1:].isdigit()}
    numbers |= {int(text.split()[0][1:]) for text in texts if _is_ours(text)}
    return numbers | ({0} if "publisher soak started" in texts else set())


def _is_announced(file: Mapping[str, Any]) -> bool:
    """Whether a Publisher announced this file, and it was written."""
    return file.get("kind") == "data_file" and not file.get("missing")


def _is_ours(text: str) -> bool:
    words = text.split()
    return len(words) == 2 and words[0][:1] == "m" and words[0][1:].isdigit()


def _short(ended: Ended) -> str:
    record = ended.record or {}
    error = record.get("error") or {}
    told = f"record {record.get('status')}, {record.get('outcome')}, {error.get('type')}: {error.get('message')}"
    return told[:400] if ended.record is not None else f"no record; result {str(ended.result)[:300]}"
