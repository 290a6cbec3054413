"""The operations table: what a slot can do, with which parameters, and what it leaves behind.

It is the one place that says so. Tasks, clients, the CLI and the documentation read it; nothing here runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS
from smurfq.core.parameters import KINDS, native
from smurfq.core.slot import Lane
from smurfq.core.suggestion import suggest
from smurfq.errors import ParameterError, UnknownOperationError

TASK_PREFIX: Final = "smurfq."
QUANTILES: Final = (10, 25, 50, 75, 90)


class _Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True)
class Parameter:
    """A parameter: ``kind`` names one of ``parameters.KINDS``; ``default`` is as it goes on the wire.

    ``keyword`` is what sodetlib calls it, where it takes it as a keyword: ``kwargs`` may not say otherwise.
    """

    name: str
    kind: str
    default: Any = REQUIRED
    doc: str = ""
    keyword: str | None = None

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        words = KINDS[self.kind].allowed
        return words if self.required or self.default is not None else f"{words}, or null"


@dataclass(frozen=True)
class Operation:
    """An operation of a slot.

    ``time_limit_s`` is None where it may run until it is stopped, or where the site's own limit holds
    (``run``); a ``duration`` asked for comes on top of it (``time_limit_for``). ``repeatable``: doing it once
    more, after a run that nobody saw the end of, leaves the card as doing it once does. ``process``: ends in
    good order at ``stop``. ``keywords`` are those in ``kwargs`` that make sodetlib die in the middle where they are
    not what it takes for granted; it may be given others too.
    """

    name: str
    lane: Lane
    summary: str
    parameters: tuple[Parameter, ...] = ()
    feed: str | None = None
    feed_fields: tuple[str, ...] = ()
    time_limit_s: float | None = 3600.0
    repeatable: bool = False
    process: bool = False
    keywords: tuple[Parameter, ...] = ()

    @property
    def task_name(self) -> str:
        """The name of its Celery task."""
        return task_name(self.name)

    def parameter(self, name: str) -> Parameter | None:
        """Its parameter of this name, if it has one."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


_STREAM_MARGIN_S: Final = 120.0


def _quantiles(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{end}" for name in names for end in (*(f"q{q}" for q in QUANTILES), "total"))


def _each(stem: str, count: int) -> tuple[str, ...]:
    return tuple(f"{stem}{number}" for number in range(count))


_KWARGS = Parameter("kwargs", "kwargs", None, "passed through to the sodetlib function")
_TAG = Parameter("tag", "tag", None, "becomes sodetlib's g3_tag and wins over kwargs")
_BANDS = Parameter("bands", "bands", None, "the bands to work on; else the active ones", "bands")
_BGS = Parameter("bgs", "bgs", None, "the bias groups to work on; else all")
_RFRAC_RANGE = Parameter("rfrac_range", "range", (0.2, 0.9), "which fraction of R_n counts as biased")
_HIGH_CURRENT_WAIT = Parameter("hcm_wait_time", "wait", doc="how long to wait in high current mode")
_ANALYSIS = Parameter("analysis_kwargs", "kwargs", None, "passed through to the analysis")
_STEP_KEYWORDS = (
    Parameter("bgs", "bgs", None, "the bias groups to step; else the active ones"),
    Parameter("step_duration", "seconds", doc="how long a step is"),
    Parameter("nsteps", "count", doc="how many steps"),
    _HIGH_CURRENT_WAIT,
    _ANALYSIS,
)
_BIASED_FIELDS = (
    *_each("biased_bg", NUM_BIAS_GROUPS),
    "biased_total",
    *_quantiles("Rfrac", "Si", "Rtes"),
)

_TABLE: tuple[Operation, ...] = (
    Operation(
        "run",
        "control",
        "Runs a control script.",
        (
            Parameter("script", "path", doc="the script, below one of the site's script folders"),
            Parameter("args", "arguments", (), "its command line arguments"),
            Parameter("log", "log", True, "where its output goes: the worker's log, a file, or nowhere"),
        ),
        time_limit_s=None,
    ),
    Operation(
        "uxm_setup",
        "control",
        "Sets a UXM up from scratch: amplifiers, attenuators, phase delay, tune, tracking, noise.",
        (_BANDS, _KWARGS),
        time_limit_s=3600.0,
        repeatable=True,
    ),
    Operation(
        "uxm_relock",
        "control",
        "Locks a UXM on the resonators of its tune again.",
        (_BANDS, _KWARGS),
        feed="tracking_results",
        feed_fields=(
            *_each("alldet_band", NUM_BANDS),
            *_each("gooddet_band", NUM_BANDS),
            *_each("alarm_band", NUM_BANDS),
        ),
        time_limit_s=2400.0,
        repeatable=True,
    ),
    Operation(
        "take_noise",
        "control",
        "Streams for a while and measures the white noise of every channel.",
        (Parameter("duration", "seconds", 30.0, "how long to stream", "acq_time"), _KWARGS, _TAG),
        feed="noise_results",
        feed_fields=_quantiles("white_noise_level"),
        time_limit_s=900.0,
        repeatable=True,
        keywords=(
            Parameter("nperseg", "several", doc="samples of a segment of the spectrum; else a 50th of all, as 2^n"),
            Parameter("freq_spacing", "above_0", None, "of the spectrum, Hz; instead of nperseg"),
            Parameter("wl_f_range", "range", doc="where the noise is white, Hz"),
            Parameter("nperdecade", "several", doc="bins a decade below it, in which the knee is sought"),
        ),
    ),
    Operation(
        "take_bgmap",
        "control",
        "Finds out which bias group every channel belongs to.",
        (_KWARGS, _TAG),
        time_limit_s=1800.0,
        keywords=_STEP_KEYWORDS,
    ),
    Operation(
        "take_iv",
        "control",
        "Takes an IV curve of every detector.",
        (_KWARGS, _TAG),
        feed="iv_results",
        feed_fields=_quantiles("Rn", "p_sat"),
        time_limit_s=3600.0,
        keywords=(
            Parameter("bias_groups", "bgs", None, "the bias groups to sweep; else the active ones"),
            Parameter("biases", "volts", None, "the bias points; instead of bias_high, bias_low and bias_step"),
            Parameter("bias_step", "above_0", doc="from one bias point to the next, V"),
            Parameter("wait_time", "seconds", doc="how long to stay at a bias point"),
            Parameter("overbias_wait", "wait", doc="how long to stay at the overbias"),
            Parameter("cool_wait", "wait", doc="how long to cool at the first bias point"),
            Parameter("serial_wait_time", "wait", doc="how long to wait between bias groups"),
            _ANALYSIS,
        ),
    ),
    Operation(
        "take_bias_steps",
        "control",
        "Measures resistance and responsivity by small steps of the bias.",
        (_KWARGS, _RFRAC_RANGE, _TAG),
        feed="bias_step_results",
        feed_fields=_BIASED_FIELDS,
        time_limit_s=3600.0,
        keywords=_STEP_KEYWORDS,
    ),
    Operation(
        "take_bias_waves",
        "control",
        "Measures resistance and responsivity by a small sine on the bias.",
        (_KWARGS, _RFRAC_RANGE, _TAG),
        feed="bias_wave_results",
        feed_fields=_BIASED_FIELDS,
        time_limit_s=3600.0,
        keywords=(
            Parameter("bgs", "bgs", None, "the bias groups to wave; else the active ones"),
            Parameter("freqs_wave", "frequencies", doc="of the waves"),
            Parameter("duration", "seconds", doc="how long a wave is"),
            _HIGH_CURRENT_WAIT,
            _ANALYSIS,
        ),
    ),
    Operation(
        "overbias_tes",
        "control",
        "Drives the detectors normal by a high bias.",
        (
            Parameter("bgs", "bgs", None, "the bias groups to work on; else the active ones", "bias_groups"),
            _KWARGS,
        ),
        time_limit_s=900.0,
        repeatable=True,
        keywords=(
            Parameter("biases", "volts", None, "the voltages to end at, by bias group; else cool_voltage"),
            Parameter("cool_wait", "wait", None, "how long to cool there"),
        ),
    ),
    Operation(
        "set_biases",
        "control",
        "Sets the bias voltage of bias groups.",
        (Parameter("bias", "bias", doc="a voltage for all of them, or one for each"), _BGS),
        time_limit_s=120.0,
        repeatable=True,
    ),
    Operation(
        "zero_biases",
        "control",
        "Sets the bias voltage of bias groups to zero.",
        (_BGS,),
        time_limit_s=120.0,
        repeatable=True,
    ),
    Operation(
        "bias_dets",
        "control",
        "Biases the detectors into their transition, by the last IV.",
        (
            Parameter(
                "rfrac",
                "rfrac",
                None,
                "the fraction of R_n to reach, or the range to hit; else the device configuration's",
                "rfrac",
            ),
            _KWARGS,
        ),
        time_limit_s=900.0,
        keywords=(
            Parameter("bias_groups", "bgs", None, "the bias groups to bias; else the active ones"),
            Parameter("Rn_range", "range", doc="of the detectors that count, ohm"),
        ),
    ),
    Operation(
        "all_off",
        "control",
        "Turns off tones, flux ramp, biases and amplifiers, closes streams and stops waveforms.",
        (
            Parameter("disable_amps", "flag", True, "turn the amplifiers off too"),
            Parameter("disable_tones", "flag", True, "turn tones, flux ramp and biases off"),
        ),
        time_limit_s=180.0,
        repeatable=True,
    ),
    Operation(
        "stream",
        "control",
        "Streams to g3 files, for a while or until it is stopped.",
        (
            Parameter("duration", "seconds", None, "how long to stream; else until it is stopped"),
            _KWARGS,
            Parameter("load_tune", "flag", True, "load the slot's tune first"),
            Parameter("stream_type", "stream_type", "obs", "what the data are for", "stream_type"),
            Parameter("subtype", "word", None, "a more exact word for it; else sodetlib's", "subtype"),
            Parameter("tag", "tag", None, "one more word for it; wins over kwargs"),
        ),
        time_limit_s=None,
        process=True,
        keywords=(
            Parameter("filter_wait_time", "wait", doc="how long the filter settles before anything is written"),
            Parameter("filter_cutoff", "above_0", None, "of the filter, Hz; else the device configuration's"),
            Parameter("filter_order", "count", None, "of the filter; else the device configuration's"),
            Parameter("downsample_factor", "factor", None, "else the device configuration's"),
        ),
    ),
    Operation(
        "check_state",
        "state",
        "Reads the slot's state, once or again and again; writes nothing to the card.",
        (
            Parameter("poll_interval", "seconds", 10.0, "how long between two readings"),
            Parameter("once", "flag", False, "read once and end"),
        ),
        feed="state_results",
        feed_fields=("open_g3stream", "num_active_channels"),
        time_limit_s=None,
        repeatable=True,
        process=True,
    ),
    Operation(
        "restart_rssi",
        "emergency",
        "Restarts the link to the card after a lock-up.",
        time_limit_s=60.0,
    ),
    Operation(
        "test",
        "control",
        "Does nothing; for trying an installation.",
        time_limit_s=60.0,
        repeatable=True,
    ),
)

OPERATIONS: Final[Mapping[str, Operation]] = {operation.name: operation for operation in _TABLE}

# Not an operation of a slot, and so not in the table: it runs beside the slots, and submits operations to them.
WORKFLOW: Final = Operation(
    "workflow",
    "control",
    "Runs an observing workflow over several slots.",
    (
        Parameter("workflow", "workflow", doc="a shipped workflow, or a file below one of the site's script folders"),
        Parameter("params", "kwargs", None, "its own parameters"),
        Parameter("slots", "slots", None, "the slots to work on; else all of the site"),
        Parameter("min_survivors", "count", None, "it ends as failed once fewer slots than this are left; else 1"),
        Parameter("max_failures", "count", None, "it ends as failed once more slots than this have been dropped"),
    ),
    time_limit_s=None,
)
_KNOWN: Final[Mapping[str, Operation]] = {**OPERATIONS, WORKFLOW.name: WORKFLOW}


def task_name(operation_name: str) -> str:
    """The name of the Celery task of an operation."""
    return TASK_PREFIX + operation_name


def operation(name: str) -> Operation:
    """The operation of this name, or of this task name.

    Raises
    ------
    UnknownOperationError
        There is none; the message names the nearest, or all.
    """
    found = _KNOWN.get(name.removeprefix(TASK_PREFIX)) if isinstance(name, str) else None
    if found is None:
        hint = suggest(str(name).removeprefix(TASK_PREFIX), OPERATIONS)
        raise UnknownOperationError(f"no operation is called {name!r}{hint}", got=name, known=list(OPERATIONS))
    return found


def check(operation_name: str, params: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """The parameters as they go on the wire, with defaults filled in; None for a default is the default.

    With ``partial``, only what is given is checked: no default is filled in, and nothing is missing.

    Raises
    ------
    ParameterError
        A parameter is unknown, missing, ill-typed, out of its range, or contradicts another.
    UnknownOperationError
        ``operation_name`` names no operation.
    """
    wanted = operation(operation_name)
    _refuse_unknown(wanted, params)
    checked: dict[str, Any] = {}
    for parameter in wanted.parameters:
        if (value := params.get(parameter.name)) is not None:
            checked[parameter.name] = _checked(wanted, parameter, value)
        elif partial:
            continue
        elif parameter.required:
            raise _error(wanted, parameter, None, f"is missing; it must be {parameter.allowed}")
        else:
            checked[parameter.name] = native(parameter.default)
    _check_together(wanted, checked)
    return checked


def time_limit_for(operation_name: str, params: Mapping[str, Any]) -> float | None:
    """The time limit of a run with these parameters, in seconds; None as in ``Operation.time_limit_s``."""
    limit_s, duration_s = operation(operation_name).time_limit_s, params.get("duration")
    if duration_s is None:
        return limit_s
    return (_STREAM_MARGIN_S if limit_s is None else limit_s) + float(duration_s)


def describe() -> list[dict[str, Any]]:
    """The whole table as JSON's own types, for help texts, documentation and clients in other languages."""
    return [
        {
            "name": item.name,
            "task": item.task_name,
            "lane": item.lane,
            "summary": item.summary,
            "parameters": [_describe_parameter(parameter) for parameter in item.parameters],
            "keywords": [{"name": one.name, "allowed": one.allowed, "doc": one.doc} for one in item.keywords],
            "feed": item.feed,
            "feed_fields": list(item.feed_fields),
            "time_limit_s": item.time_limit_s,
            "repeatable": item.repeatable,
            "process": item.process,
        }
        for item in OPERATIONS.values()
    ]


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    described = {
        "name": parameter.name,
        "required": parameter.required,
        "allowed": parameter.allowed,
        "doc": parameter.doc,
    }
    return described if parameter.required else {**described, "default": native(parameter.default)}


def _refuse_unknown(wanted: Operation, params: Mapping[str, Any]) -> None:
    known = [parameter.name for parameter in wanted.parameters]
    for name in params:
        if name not in known:
            hint = suggest(str(name), known) if known else "; it takes none"
            raise ParameterError(
                f"{wanted.name} has no parameter {name!r}{hint}",
                operation=wanted.name,
                parameter=str(name),
                known=known,
            )


def _checked(wanted: Operation, parameter: Parameter, value: Any) -> Any:
    try:
        return KINDS[parameter.kind].check(native(value))
    except (ValueError, TypeError, OverflowError, RecursionError) as cause:
        why = f" ({cause})" if str(cause) else ""
        raise _error(wanted, parameter, value, f"must be {parameter.allowed}; got {_shown(value)}{why}") from cause


def _check_together(wanted: Operation, checked: Mapping[str, Any]) -> None:
    """Refuse what each parameter allows but all of them together do not."""
    bias, bgs, parameter = checked.get("bias"), checked.get("bgs"), wanted.parameter("bias")
    if parameter is not None and isinstance(bias, list):
        expected = len(bgs) if bgs is not None else NUM_BIAS_GROUPS
        if len(bias) != expected:
            of = f"the {expected} bias groups of bgs" if bgs is not None else f"all {expected} bias groups"
            raise _error(wanted, parameter, bias, f"must be a number, or one for each of {of}; got {len(bias)} of them")
    for keyword, value in (checked.get("kwargs") or {}).items():
        _check_keyword(wanted, checked, keyword, value)
        _check_value(wanted, keyword, value)


def _check_value(wanted: Operation, keyword: str, value: Any) -> None:
    """Refuse a value of one of the operation's ``keywords`` that sodetlib would stumble over."""
    known = next((one for one in wanted.keywords if one.name == keyword), None)
    if known is None or (value is None and not known.required):
        return
    try:
        KINDS[known.kind].check(value)
    except (ValueError, TypeError, OverflowError) as cause:
        raise ParameterError(
            f"{wanted.name}: {keyword} in kwargs must be {known.allowed}; got {_shown(value)}",
            operation=wanted.name,
            parameter="kwargs",
            got=_shown(value),
            allowed=known.allowed,
        ) from cause


def _check_keyword(wanted: Operation, checked: Mapping[str, Any], keyword: str, value: Any) -> None:
    if keyword in ("S", "cfg"):
        raise _keyword_error(wanted, keyword, "which smurfq gives itself; leave it out")
    for parameter in wanted.parameters:
        own = parameter.name if parameter.name != "tag" else None
        if keyword not in (own, parameter.keyword):
            continue
        try:
            agrees = KINDS[parameter.kind].check(value) == checked.get(parameter.name)
        except (ValueError, TypeError):
            agrees = False
        if not agrees:
            raise _keyword_error(
                wanted,
                keyword,
                f"got {_shown(value)}; it has a parameter of its own: give it as {parameter.name}",
            )


def _keyword_error(wanted: Operation, keyword: str, why: str) -> ParameterError:
    return ParameterError(
        f"{wanted.name}: kwargs may not set {keyword!r}, {why}",
        operation=wanted.name,
        parameter="kwargs",
        got=keyword,
    )


def _error(wanted: Operation, parameter: Parameter, value: Any, why: str) -> ParameterError:
    return ParameterError(
        f"{wanted.name}: parameter {parameter.name} {why}",
        operation=wanted.name,
        parameter=parameter.name,
        got=_shown(value),
        allowed=parameter.allowed,
    )


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or an integer of thousands of digits
        text = f"<{type(value).__name__}, too large to be shown>"
    return text if len(text) <= 200 else f"{text[:197]}..."
