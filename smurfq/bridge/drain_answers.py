"""Answers drain markers: the worker's question whether all messages of its run have been written."""

from __future__ import annotations

import time
from dataclasses import asdict

from redis.exceptions import ResponseError

from smurfq.bridge.attribution import RunState
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.drops import DropNotices
from smurfq.bridge.recorder import Recorder
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.snapshots import SnapshotPace
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.messages import Drain
from smurfq.store.connection import Client
from smurfq.store.drain import ANSWER_EXPIRES_S, DrainAnswer


class DrainAnswers:
    """Answers a marker once all messages before it are written."""

    def __init__(
        self,
        *,
        client: Client,
        recorder: Recorder,
        snapshots: SnapshotPace,
        drops: DropNotices,
        retry: RedisRetry,
        complaints: Complaints,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._snapshots = snapshots
        self._drops = drops
        self._retry = retry
        self._complaints = complaints
        self._began = time.monotonic()

    def answer(self, marker: Drain, publisher: str) -> None:
        """Write the answer to ``marker``, and before it the snapshot of the present run of the lane ``publisher``.

        Raises
        ------
        StoreUnavailableError
            The bridge is stopping, and Redis is away.
        """
        runs = self._recorder.runs
        running = self._retry(lambda: runs.look_up([publisher])).running.get(publisher)
        state = runs.state(running.task_id) if running is not None else None
        if running is not None and state is not None:
            vanished = self._retry(lambda: runs.vanished(state))
            answer = self._answer_of(publisher, state, running.started, vanished)
        else:
            answer = DrainAnswer(lost=0, kernel_dropped=0, buffered_dropped=0, applied=0)

        def send() -> None:
            if answer.task_id is not None:
                self._snapshots.publish_now(answer.task_id)
            with self._client.pipeline(transaction=True) as pipe:
                pipe.lpush(keys.drained(marker.token), dumps(asdict(answer)))
                pipe.expire(keys.drained(marker.token), ANSWER_EXPIRES_S)
                pipe.execute()

        try:
            self._retry(send)
        except ResponseError as cause:
            self._complaints.add("no answer", f"Redis rejected that to the drain marker of {marker.id}: {cause}")

    def _answer_of(self, publisher: str, state: RunState, started: float, vanished: int) -> DrainAnswer:
        # The clock may have been set back since the run began: it began before it was seen, at least.
        start = min(time.monotonic() - (time.time() - started), state.seen)
        return DrainAnswer(
            lost=max(0, state.lost),
            kernel_dropped=self._drops.kernel.since(start),
            buffered_dropped=self._drops.buffered.since(start),
            applied=state.applied,
            younger=start < self._began,
            task_id=state.task_id,
            unrecorded=self._recorder.unowned.since(publisher, start) + vanished + state.refused,
        )
