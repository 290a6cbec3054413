"""The simulator's process: its slots served over Channel Access, its faults followed, its state told in a file."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from smurfq.errors import ConfigError
from smurfq.sim import faults as fault_file
from smurfq.sim import presence
from smurfq.sim.detectors import Detectors, population, write_truth
from smurfq.sim.files import write_site, write_slot
from smurfq.sim.ioc import Server
from smurfq.sim.options import Options
from smurfq.sim.slot import SimSlot
from smurfq.sim.stream import SlotStream, StreamThread
from smurfq.sim.tones import tones_of

logger = logging.getLogger(__name__)

Show = Callable[[str, Iterable[str]], None]

BANNER: Final = "SIMULATED: these slots are not hardware"
_LOOK_EVERY_S: Final = 0.2


def prepare(options: Options) -> dict[str, Detectors]:
    """The detectors of every slot, with its truth, configuration and tune written."""
    write_site(options.folders, options.slots)
    return {slot: _prepare(options, slot) for slot in options.slots}


def serve(options: Options, detectors: dict[str, Detectors]) -> None:
    """Serve the slots until SIGINT or SIGTERM."""
    asyncio.run(_serve(options, detectors))


def _prepare(options: Options, slot: str) -> Detectors:
    seed = options.seed_of(slot)
    detectors = population(seed, options.detectors)
    write_truth(detectors, options.folder / slot, seed)
    tones = tones_of(detectors.band, detectors.channel, seed)
    where = zip(detectors.band.tolist(), detectors.channel.tolist(), strict=True)
    write_slot(options.folders, slot, tones, dict(zip(where, detectors.bias_group.tolist(), strict=True)))
    return detectors


async def _serve(options: Options, detectors: dict[str, Detectors]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    pending: set[asyncio.Task[None]] = set()

    def show(prefix: str, names: Iterable[str]) -> None:
        task = loop.create_task(server.show(prefix, names))
        pending.add(task)
        task.add_done_callback(pending.discard)

    def show_soon(prefix: str, names: Iterable[str]) -> None:
        loop.call_soon_threadsafe(show, prefix, names)

    made = [_slot(options, slot, detectors[slot], show_soon) for slot in options.slots]
    slots = [slot for slot, _ in made]
    threads = [StreamThread(stream) for _, stream in made]
    server = Server(slots, options.port)
    for thread in threads:
        thread.start()
    running = loop.create_task(server.run())
    try:
        await _look(options, slots, server, running, ended)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for thread in threads:
            await loop.run_in_executor(None, thread.end)
        presence.forget(options.folder)
    if not ended.is_set():
        running.result()  # it ended by itself: raise what ended it


def _slot(options: Options, slot: str, detectors: Detectors, show: Show) -> tuple[SimSlot, SlotStream]:
    tones = tones_of(detectors.band, detectors.channel, options.seed_of(slot))
    made = SimSlot(slot, tones, time.time, lambda names: show(made.prefix, tuple(names)))
    made.stream = stream = SlotStream(
        made,
        detectors,
        folder=options.folders.timestreams,
        seed=options.seed_of(slot),
        now=time.time(),
        high_precision=options.high_precision,
        file_duration_s=options.file_duration_s,
    )
    stream.recorder.start()
    return made, stream


async def _look(
    options: Options,
    slots: Sequence[SimSlot],
    server: Server,
    running: asyncio.Task[None],
    ended: asyncio.Event,
) -> None:
    """Follow the file of faults and tell the state, until the server ends or is told to."""
    asked: float | None = -1.0
    told = ""
    while not ended.is_set() and not running.done():
        changed = _changed_at(options.folder / fault_file.FILE_NAME)
        if changed != asked:
            asked = changed
            _follow(options.folder, slots)
        if server.port is not None:
            told = presence.tell(options, {slot.id: slot.faults for slot in slots}, told)
        try:
            await asyncio.wait_for(ended.wait(), _LOOK_EVERY_S)
        except TimeoutError:
            continue


def _changed_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _follow(folder: Path, slots: Sequence[SimSlot]) -> None:
    try:
        asked = fault_file.read(folder)
    except ConfigError as error:
        logger.error("%s", error)
        return
    for slot in slots:
        slot.faults = asked.get(slot.id, fault_file.Faults())
        if slot.faults.to_dict():
            logger.warning("%s has faults: %s", slot.id, slot.faults.to_dict())
