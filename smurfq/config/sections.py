"""Defines the tables of the site file: the keys of each, with types, defaults and meanings.

The docstring below a key is its meaning, as ``reference`` and ``examples/site.toml`` tell it. A key with
``repr=False`` is a secret: neither the settings' own text nor an error ever shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat

from smurfq.config.key_types import Folder, Port, PortOrOff, Section, check_host_port, check_redis_url, check_version

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
_DAY_S = 86_400.0


class Redis(Section):
    """The Redis or Valkey of the site: broker, results and live records."""

    url: Annotated[str, AfterValidator(check_redis_url)] | None = Field(default=None, repr=False)
    """URL of Redis, with its password, or of its sentinels. Default: the embedded Valkey of `smurfq up`."""
    ca_file: Folder | None = None
    """With rediss://: the CA that signed Redis's certificate (PEM), if this machine does not know the CA."""
    cert_file: Folder | None = None
    """With rediss://: the certificate that smurfq presents if Redis requests one (PEM)."""
    key_file: Folder | None = None
    """The private key of cert_file (PEM), without a password."""
    embedded_port: Port = 6385
    """TCP port of the embedded Valkey, on 127.0.0.1."""
    result_expires_days: PositiveFloat = 30.0
    """Retention time of records, results and the log files of operations."""
    feed_expires_days: PositiveFloat = 365.0
    """Retention time of the blocks of feeds."""
    feed_blocks: Annotated[int, Field(ge=1000)] = 100_000
    """Approximate maximum number of blocks that are kept of each feed, for all slots together."""

    @property
    def result_expires_s(self) -> float:
        """Retention time of records, results and log files, in seconds."""
        return self.result_expires_days * _DAY_S

    @property
    def feed_expires_s(self) -> float:
        """Retention time of the blocks of feeds, in seconds."""
        return self.feed_expires_days * _DAY_S


class Bridge(Section):
    """The UDP bridge; the publishers send to this address. Each smurf server has a bridge of its own."""

    name: Annotated[str, Field(min_length=1)] | None = None
    """Name of the bridge, unique in the site. Default: the host's name; bridge.host, if that is not loopback."""
    host: str = "127.0.0.1"
    """Address on which it listens. Use an address other than loopback only if publishers run on other machines."""
    port: Port = 8200
    """UDP port."""
    relay: Annotated[str, AfterValidator(check_host_port)] | None = None
    """host:port to which every datagram is forwarded unchanged, for example of a PysmurfMonitor."""
    receive_buffer_bytes: Annotated[int, Field(ge=65536)] = 8 * 1024 * 1024
    """Receive buffer that the bridge requests. The kernel grants at most net.core.rmem_max."""
    buffer_messages: Annotated[int, Field(ge=1000)] = 500_000
    """Maximum number of messages that wait in memory while Redis is away. The oldest are dropped and counted."""
    buffer_bytes: Annotated[int, Field(ge=65536)] = 512 * 1024 * 1024
    """Maximum memory for these messages."""
    metrics_port: PortOrOff = 0
    """TCP port of the Prometheus metrics, on the bridge's host; 0: off."""

    @property
    def host_for_publishers(self) -> str:
        """The address to which publishers on the bridge's machine send."""
        return "127.0.0.1" if self.host in ANY_ADDRESS else self.host


class Archive(Section):
    """The SupRsync database in which `smurfq archive` registers the files of the site."""

    database: Folder | None = None
    """Path of the sqlite database, such as /data/so/databases/suprsync.db. Default: no files are registered."""


class Scripts(Section):
    """The folders of the scripts of `run`."""

    folders: tuple[Folder, ...] = ()
    """Folders of the scripts that `run` may execute; none: `run` rejects all. As a variable: separated by colons."""
    log_folders: tuple[Folder, ...] = ()
    """Further folders that `log=<path>` of `run` may name. As a variable: separated by colons."""


class Epics(Section):
    """EPICS Channel Access of an operation's process, if its environment does not set it."""

    ca_addr_list: str = "127.255.255.255"
    """EPICS_CA_ADDR_LIST."""
    ca_auto_addr_list: str | None = None
    """EPICS_CA_AUTO_ADDR_LIST. Default: not changed."""
    ca_max_array_bytes: int = 80_000_000
    """EPICS_CA_MAX_ARRAY_BYTES."""
    connect_ahead: bool = True
    """If true, an operation connects at its start all registers that its earlier runs used."""


class Smurf(Section):
    """The folders of pysmurf and sodetlib on this machine."""

    config_dir: Folder | None = None
    """The folder of sys_config.yml: SMURF_CONFIG_DIR and OCS_CONFIG_DIR of the operations."""
    timestreams_dir: Folder = Path("/data/so/timestreams")
    """The folder of the .g3 files."""
    smurf_data_dir: Folder = Path("/data/smurf_data")
    """The folder in which pysmurf and sodetlib keep their data."""


class Limits(Section):
    """Time limits and grace times, in seconds."""

    abort_grace_s: NonNegativeFloat = 10.0
    """Time from the request of an abort until an exception is raised in the operation."""
    kill_grace_s: NonNegativeFloat = 10.0
    """Time from that exception until SIGKILL."""
    emergency_grace_s: NonNegativeFloat = 3.0
    """Replaces abort_grace_s and kill_grace_s while an emergency operation waits."""
    shutdown_grace_s: NonNegativeFloat = 10.0
    """Time for which a running operation may continue after its worker was told to stop."""
    close_stream_s: PositiveFloat = 60.0
    """Maximum time for the streamer to close a g3 file."""
    scan_s: PositiveFloat = 360.0
    """Maximum time for the smurf server to scan a band or to capture data; pysmurf itself waits at most 240 to 360."""
    operation_s: PositiveFloat = 7200.0
    """Time limit of `run`. docs/reference/operations.md lists the limits of the other operations."""
    operations: Mapping[str, PositiveFloat] = Field(default_factory=dict)
    """Other time limits for single operations. As a variable: a JSON object."""

    @property
    def end_workflow_s(self) -> float:
        """Maximum time for an aborted workflow to end, with all operations that it started."""
        return self.abort_grace_s + self.clean_workflow_s

    @property
    def clean_workflow_s(self) -> float:
        """Maximum time for an interrupted workflow to end the operations that it started."""
        return self.abort_grace_s + self.kill_grace_s + self.close_stream_s


class Worker(Section):
    """A slot's worker."""

    preload: bool = True
    """Import pysmurf and sodetlib once, before any operation."""
    spare: bool = True
    """Keep a forked process ready for the next operation."""
    lease_ttl_s: PositiveFloat = 15.0
    """Time after a worker's death until another worker may take over its slot."""
    lock_wait_s: NonNegativeFloat = 30.0
    """Time for which an operation waits for a card that another process on this host still uses."""


class Workflows(Section):
    """The workers of workflows, which drive no card."""

    at_once: Annotated[int, Field(ge=1)] = 3
    """Maximum number of workflows that run at the same time. Further ones wait."""


class Flower(Section):
    """The monitoring page."""

    host: str = "127.0.0.1"
    """Address on which it listens."""
    port: Port = 5555
    """TCP port."""
    user: Annotated[str, Field(min_length=1, pattern="^[^:]*$")] = "smurfq"
    """User name of the login."""
    password: Annotated[str, Field(min_length=1)] | None = Field(default=None, repr=False)
    """Password of the login. Default: generated at the first start and kept in state_dir for its owner only."""


class Registers(Section):
    """The registers that the smurf servers publish: temperatures, currents, error counters."""

    max: Mapping[str, float] = Field(default_factory=dict)
    """Alarm above this: a number for each quantity; of a count, its increase in 600 s. As a variable: a JSON object."""
    min: Mapping[str, float] = Field(default_factory=dict)
    """Alarm below this: a number for each quantity. As a variable: a JSON object."""
    feed_interval_s: PositiveFloat = 10.0
    """Time between two blocks of a slot in the feed `registers`."""
    feed_blocks: Annotated[int, Field(ge=100)] = 2_000
    """Approximate maximum number of blocks that are kept of this feed, for all slots together."""


class Sim(Section):
    """The simulated slots, which `smurfq up --sim` and `smurfq sim` serve."""

    port: Port = 15064
    """Channel Access port of the simulated slots, TCP and UDP, on 127.0.0.1."""
    detectors: Annotated[int, Field(ge=1)] = 1700
    """Number of detectors of a slot, at most 3328."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of all random numbers. The same seed gives the same slots."""
    high_precision: bool = False
    """If true, the g3 files contain the counters of the timing system."""
    file_duration_s: PositiveFloat = 600.0
    """Time for which a stream writes to one g3 file before it starts the next."""
    cold: bool = False
    """If true, cards start as if just powered on, without tune, tones and amplifiers; else as a setup leaves them."""
    publish: bool = True
    """If true, the simulated smurf server publishes g3 files and registers to the bridge, as a real one does."""
    metadata_hz: NonNegativeFloat = 25.0
    """Register values that each slot publishes per second because the server polls them; 0: it polls nothing."""
    pysmurf_config: Path | None = None
    """A pysmurf configuration whose bias groups, relays, bands and current ratio the cards get. Default: usual ones."""
    cryocard_firmware: Annotated[str, AfterValidator(check_version)] = "4.1.2"
    """Version of the cryocards' firmware. 1.x to 3.x and 10.x have two amplifiers (C02), others four (C04)."""


class Ocs(Section):
    """Clients with OCS's interface (`smurfq.ocs`)."""

    instances: Mapping[str, str] = Field(default_factory=dict)
    """The slot of each OCS instance id that does not contain the name of its slot. As a variable: a JSON object."""
    busy: Literal["refuse", "queue-finite", "queue"] = "queue-finite"
    """Reaction of `start` on a busy slot: an error, queueing if all runs before it will end, or always queueing."""
    patience_s: PositiveFloat = 120.0
    """Maximum wait without a timeout for a slot that no worker serves, or for a Redis that does not answer."""


class Crate(Section):
    """A crate and its slots that are in use."""

    id: Annotated[int, Field(ge=0)]
    """The crate's number."""
    slots: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(min_length=1)]
    """The slots of this crate that have a card."""
    stream_ids: Mapping[int, str] = Field(default_factory=dict)
    """The stream id of each slot, such as ufm_mv9, where sys_config.yml cannot be read; that file has precedence."""
