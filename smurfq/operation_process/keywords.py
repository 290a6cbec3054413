"""Makes the keyword arguments of a sodetlib function from an operation's parameters.

Some functions of sodetlib find an unknown keyword only in the middle, with the biases up and a stream open. So the
keywords are checked before, against the signatures of the installed sodetlib.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from smurfq.core.suggestion import suggest
from smurfq.errors import ParameterError
from smurfq.smurf_control import sodetlib_function

# The functions that take the keywords of an operation, with those to which they pass on unknown keywords.
_TAKEN_BY: Final = {
    "uxm_setup": ("operations.uxm_setup.uxm_setup",),
    "uxm_relock": ("operations.uxm_relock.uxm_relock",),
    "take_noise": ("noise.take_noise", "util.get_asd", "util.calc_psd", "noise.welch"),
    "take_bgmap": ("operations.bias_steps.BgMapConfig",),
    "take_iv": ("operations.iv.IVConfig",),
    "take_bias_steps": ("operations.bias_steps.BiasStepConfig",),
    "take_bias_waves": ("operations.bias_wave.take_bias_waves",),
    "overbias_tes": ("util.overbias_dets",),
    "bias_dets": ("operations.bias_dets.bias_to_rfrac",),
    "stream": ("stream.stream_g3_on",),
}
_ANALYSED_BY: Final = {
    "take_bgmap": "operations.bias_steps.BiasStepAnalysis",
    "take_iv": "operations.iv.analyze_iv",
    "take_bias_steps": "operations.bias_steps.BiasStepAnalysis",
    "take_bias_waves": "operations.bias_wave.BiasWaveAnalysis",
}
_GIVEN_BY_SODETLIB: Final = frozenset({"S", "cfg", "self", "iva", "am", "aman", "x", "fs"})


def keywords(
    op_name: str, kwargs: Mapping[str, Any] | None, *, g3_tag: str | None = None, **own: Any
) -> dict[str, Any]:
    """Return ``kwargs``, with the operation's own parameters that are given.

    The operations table has rejected ``kwargs`` that contradict a parameter. Only ``tag`` may, and it wins.

    Raises
    ------
    ParameterError
        sodetlib takes no keyword of one of the names in ``kwargs``, or in its ``analysis_kwargs``.
    """
    asked = kwargs or {}
    _check_names(op_name, "kwargs", asked, map(sodetlib_function, _TAKEN_BY[op_name]))
    if (analysis := asked.get("analysis_kwargs")) and op_name in _ANALYSED_BY:
        found = sodetlib_function(_ANALYSED_BY[op_name])
        analyse = getattr(found, "run_analysis", found)
        _check_names(op_name, "analysis_kwargs", analysis, [analyse], without={"save"} if analyse is not found else ())
    given = {name: value for name, value in {**own, "g3_tag": g3_tag}.items() if value is not None}
    return {**asked, **given}


def _check_names(
    op_name: str,
    what: str,
    given: Mapping[str, Any],
    functions: Iterable[Callable[..., Any]],
    without: Iterable[str] = (),
) -> None:
    """Reject names that none of ``functions`` takes, or that sodetlib itself passes."""
    taken = {name: None for function in functions for name in inspect.signature(function).parameters}
    known = [name for name in taken if name not in _GIVEN_BY_SODETLIB and name not in without]
    for name in given:
        if name not in known:
            raise ParameterError(
                f"{op_name}: sodetlib takes no {name!r} in {what}{suggest(name, known)}",
                operation=op_name,
                parameter="kwargs",
                got=name,
                known=known,
            )
