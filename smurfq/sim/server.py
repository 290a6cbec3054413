"""Runs the simulator's process: serves its slots by Channel Access, applies faults, writes its state to a file."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smurfq.core.card import NUM_BANDS
from smurfq.errors import ConfigError
from smurfq.sim import faults as fault_file
from smurfq.sim import presence
from smurfq.sim.detectors import Detectors, population, write_truth
from smurfq.sim.files import write_cold_slot, write_site, write_slot
from smurfq.sim.ioc import Server
from smurfq.sim.metadata import MetadataPublisher
from smurfq.sim.options import Options
from smurfq.sim.pysmurf_publishers import can_publish
from smurfq.sim.radio import resonators as resonator_file
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.resonators import resonators_of
from smurfq.sim.slot import SimSlot
from smurfq.sim.stream import SlotStream, StreamThread
from smurfq.sim.tones import Tones, scans_of, tuned

logger = logging.getLogger(__name__)

Show = Callable[[str, Iterable[str]], None]

BANNER: Final = "SIMULATED: these slots are not hardware"
_LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True)
class Prepared:
    """A slot before it is served: its detectors, its bands with their resonators, and its initial tones."""

    detectors: Detectors
    bands: tuple[BandModel, ...]
    tones: Tones | None


def prepare(options: Options) -> dict[str, Prepared]:
    """Write the true values, configuration and tune of every slot, and return the slots."""
    write_site(options.folders, {slot: options.stream_ids[slot] for slot in options.slots}, options.pysmurf)
    return {slot: _prepare(options, slot) for slot in options.slots}


def serve(options: Options, prepared: dict[str, Prepared]) -> None:
    """Serve the slots until SIGINT or SIGTERM."""
    asyncio.run(_serve(options, prepared))


def _prepare(options: Options, slot: str) -> Prepared:
    seed = options.seed_of(slot)
    detectors = population(seed, options.detectors, options.shape.wiring.bands, options.shape.num_groups)
    resonators = resonators_of(detectors, seed)
    bands = tuple(BandModel(band, resonators) for band in range(NUM_BANDS))
    write_truth(detectors, options.folder / slot, seed)
    resonator_file.write_truth(resonators, detectors, options.folder / slot)
    if options.cold:
        write_cold_slot(options.folders, slot, options.shape)
        return Prepared(detectors, bands, None)
    tones = tuned(bands, detectors)
    where = zip(detectors.band.tolist(), detectors.channel.tolist(), strict=True)
    groups = dict(zip(where, detectors.bias_group.tolist(), strict=True))
    write_slot(options.folders, slot, tones, groups, scans_of(bands, tones, detectors), options.shape)
    return Prepared(detectors, bands, tones)


async def _serve(options: Options, prepared: dict[str, Prepared]) -> None:
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

    computing = ThreadPoolExecutor(1, thread_name_prefix="radio")
    made = [_slot(options, slot, prepared[slot], show_soon, computing) for slot in options.slots]
    slots = [slot for slot, _ in made]
    threads = [StreamThread(stream) for _, stream in made]
    metadata = _metadata(options, made)
    server = Server(slots, options.port)
    for thread in threads:
        thread.start()
    if metadata is not None:
        metadata.start()
    running = loop.create_task(server.run())
    try:
        await _look(options, slots, server, running, ended)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for thread in threads:
            await loop.run_in_executor(None, thread.end)
        if metadata is not None:
            await loop.run_in_executor(None, metadata.end)
        computing.shutdown(cancel_futures=True)
        presence.forget(options.folder)
    if not ended.is_set():
        running.result()  # the server ended by itself: raise its error


def _slot(
    options: Options, slot: str, prepared: Prepared, show: Show, computing: Executor
) -> tuple[SimSlot, SlotStream]:
    made = SimSlot(
        slot,
        prepared.tones,
        time.time,
        lambda names: show(made.prefix, tuple(names)),
        bands=prepared.bands,
        executor=computing,
        shape=options.shape,
    )
    made.stream = stream = SlotStream(
        made,
        prepared.detectors,
        stream_id=options.stream_ids[slot],
        folder=options.folders.timestreams,
        seed=options.seed_of(slot),
        now=time.time(),
        high_precision=options.high_precision,
        file_duration_s=options.file_duration_s,
    )
    stream.recorder.publish_to = options.publish_to
    stream.recorder.start()
    return made, stream


def _metadata(options: Options, made: Sequence[tuple[SimSlot, SlotStream]]) -> MetadataPublisher | None:
    """Return the thread that publishes the slots' registers; None if it has nowhere to publish to."""
    if options.publish_to is None:
        return None
    if not can_publish():
        logger.warning("the simulated smurf server publishes nothing: pysmurf is not installed (extra [slot])")
        return None
    slots = {stream.recorder.stream_id: slot for slot, stream in made}
    return MetadataPublisher(slots, options.publish_to, options.metadata_hz)


async def _look(
    options: Options,
    slots: Sequence[SimSlot],
    server: Server,
    running: asyncio.Task[None],
    ended: asyncio.Event,
) -> None:
    """Apply the file of faults and write the state, until the server ends or is asked to end."""
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
