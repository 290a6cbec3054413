"""One soak: load and faults for a while, then peace, then what the witness makes of it."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from celery.result import AsyncResult

from benchmarks import peer
from smurfq.app import app
from smurfq.errors import RecordNotFoundError
from smurfq.store import patiently
from tests.site.archive import rows
from tests.site.process_group import described, site_processes
from tests.soak import witness
from tests.soak.faults import FAULTS, Chance, Done, Faults
from tests.soak.load import Load
from tests.soak.site import SoakSite
from tests.soak.witness import FINAL_STATES, Breach, Ended, Evidence, Told

FINAL_WITHIN_S = 60.0  # after everything is back, beside the time that what waits takes
_EACH_TAKES_S = 4.0
_EACH_ON_A_CARD_S = 20.0
_ORPHANS_GONE_WITHIN_S = 5.0
_POLL_S = 0.2


@dataclass
class Account:
    """What a soak comes to."""

    breaches: list[Breach]
    faults: list[Done]
    costs: dict[str, list[float]]  # by fault: s until the slots it hit began an operation again
    counts: Counter[str]
    operations: int


def soak(
    folder: Path,
    *,
    seed: int,
    seconds: float,
    simulated: bool = True,
    only: Sequence[str] = ("",),
    longest_outage_s: float = 60.0,
    most_pause_s: float = 3.0,
    waiting_per_slot: int = 4,
    faults_at_least: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Account:
    """Have a site in ``folder`` suffer, with the faults that ``chosen`` names; the account of it.

    It goes on for ``seconds``, and until ``faults_at_least`` faults were done. ``say`` is told how far it is.
    """
    names = chosen(only)
    site = SoakSite(folder, simulated=simulated)
    load: Load | None = None
    try:
        site.start()
        load = Load(site, seed, waiting_per_slot)
        load.start()
        faults = Faults(site, seed, names, longest_outage_s)
        until = time.monotonic() + seconds
        pauses = Chance(f"{seed}-pauses")
        while time.monotonic() < until or len(faults.done) < faults_at_least:
            time.sleep(pauses.uniform(0.0, most_pause_s))
            done = faults.next()
            say(f"{done.over:.1f} {done.name}: {', '.join(done.slots) or 'no slot'}{' (nothing)' * done.did_nothing}")
        load.finish()
        say("peace")
        site.await_served()
        say("all is back")
        evidence = gather(site, load, faults, say)
    finally:
        site.continue_all()
        if load is not None:
            load.close()
        gc.collect()  # groups of results unsubscribe when they go, and would wait for Redis to come back
        site.close()
    evidence.orphans = orphans(site)
    return Account(
        breaches=witness.breaches(evidence),
        faults=faults.done,
        costs=costs(faults.done, evidence),
        counts=load.done + outcomes(evidence),
        operations=len(load.submitted),
    )


def chosen(only: Sequence[str]) -> list[str]:
    """The names of the faults that have one of these words in them."""
    return [name for name in FAULTS if any(word.lower() in name.lower() for word in only)]


def gather(site: SoakSite, load: Load, faults: Faults, say: Callable[[str], None]) -> Evidence:
    """All that is known, once what was submitted has had its time to end."""
    await_ends(site, load)
    say(f"{len(load.submitted)} operations have ended, or had their time")
    evidence = Evidence(submitted=dict(load.submitted), harms=faults.harms, asked_to_tell=load.asked_to_tell)
    await_told(load)
    site.await_archived(FINAL_WITHIN_S)
    evidence.archived = [row.local_path for row in rows(site.database)]
    if load.told.exists():
        lines = [line.split(maxsplit=2) for line in load.told.read_text().splitlines()]
        evidence.told = [Told(task_id, way, said) for way, task_id, said in lines]
    evidence.ended = {task_id: ended_as(task_id) for task_id in load.submitted}
    evidence.journals = {slot: witness.read(site.journal(slot)) for slot in site.slots}
    return evidence


def await_ends(site: SoakSite, load: Load) -> None:
    """Return once all has ended, or all time for that is over."""
    waiting = {slot: patiently(lambda: len(app.waiting.waiting_in(slot))) for slot in site.slots}
    each_s = {slot: _EACH_ON_A_CARD_S if slot in site.simulated else _EACH_TAKES_S for slot in site.slots}
    deadline = time.monotonic() + FINAL_WITHIN_S + max(waiting[slot] * each_s[slot] for slot in site.slots)
    open_ = [task_id for task_id, asked in load.submitted.items() if not asked.refused]
    while open_ and time.monotonic() < deadline:
        site.keep_up()
        open_ = [task_id for task_id in open_ if patiently(lambda: state_of(task_id)) not in FINAL_STATES]
        time.sleep(_POLL_S)
    # What was refused may run all the same; it has no time of its own.
    time.sleep(_POLL_S)


def await_told(load: Load) -> None:
    """Return once all who wait have been told, or the time for that is over."""
    deadline = time.monotonic() + FINAL_WITHIN_S / 2
    while time.monotonic() < deadline:
        if load.told.exists() and len(load.told.read_text().splitlines()) >= len(load.asked_to_tell):
            return
        time.sleep(_POLL_S)


def state_of(task_id: str) -> str:
    """Celery's state of a task."""
    return str(AsyncResult(task_id, app=app).state)


def ended_as(task_id: str) -> Ended:
    """What smurfq says of a task now."""
    result = AsyncResult(task_id, app=app)
    try:
        record = app.records.read(task_id).to_dict()
    except RecordNotFoundError:
        record = None
    began, at = (on_our_clock((record or {}).get(name)) for name in ("start_time", "end_time"))
    value = result.result
    return Ended(result.state, value if isinstance(value, dict) else str(value), record, at, began)


def on_our_clock(moment: float | None) -> float | None:
    """A time in s since 1970 as one of CLOCK_MONOTONIC."""
    return None if moment is None else moment - time.time() + time.monotonic()


def orphans(site: SoakSite) -> list[str]:
    """The processes that the site has left behind, once it is down."""
    deadline = time.monotonic() + _ORPHANS_GONE_WITHIN_S
    while (left := site_processes(site.folder)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return [described(process) for process in left]


def costs(faults: list[Done], evidence: Evidence) -> dict[str, list[float]]:
    """By fault, how long it took until every slot that was hit began an operation again, s."""
    starts = {
        slot: sorted(line.at for line in lines if line.what == "start") for slot, lines in evidence.journals.items()
    }
    found: dict[str, list[float]] = {}
    for done in faults:
        if done.did_nothing:
            continue
        times = found.setdefault(done.name, [])
        since = done.began if done.harms else done.over
        after = [next((at for at in starts[slot] if at > since), None) for slot in done.slots]
        if after and None not in after:
            times.append(max(at for at in after if at is not None) - since)
    return found


def outcomes(evidence: Evidence) -> Counter[str]:
    """How it all ended."""
    counted: Counter[str] = Counter()
    for ended in evidence.ended.values():
        outcome = (ended.record or {}).get("outcome")
        counted[f"ended as {ended.state}, {outcome or 'without a record'}"] += 1
        if ended.record is not None and ended.record["complete"] is False:
            counted["said to be incomplete"] += 1
    sent, missing = witness.messages(evidence)
    counted["messages sent by operations that ended"] = sent
    counted["of these not in the record"] = missing
    return counted


def table(account: Account) -> str:
    """The account as a table."""
    rows = ["| fault | times | median, s | longest, s | socs on OCS |", "| --- | ---: | ---: | ---: | --- |"]
    for name in FAULTS:
        times = account.costs.get(name)
        if times is not None:
            count = sum(1 for done in account.faults if done.name == name and not done.did_nothing)
            cost = f"{statistics.median(times):.1f} | {max(times):.1f}" if times else "- | -"
            rows.append(f"| {name} | {count} | {cost} | {peer.FAULTS.get(name, '')} |")
    return "\n".join(rows)


def keep_evidence(account: Account, folder: Path) -> None:
    """Write down what was found beside the site's logs."""
    (folder / "breaches.json").write_text(json.dumps([str(breach) for breach in account.breaches], indent=1))
    lines = [f"{done.began:.3f} {done.over:.3f} {done.name} {done.slots} {done.did_nothing}" for done in account.faults]
    (folder / "faults.txt").write_text("\n".join(lines))
