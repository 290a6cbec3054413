"""A control script: finds the resonators of bands, puts a tone on each, and reports how many of them track.

It does the work of ``uxm_setup`` step by step with pysmurf's own functions, so that you can watch or change a step. The
slot's amplifiers must be on and its attenuators set, as after a setup.

    smurfq run examples/scripts/tune_band.py --slot crate1slot2 -- --bands 0 1

Its session data are ``delay_us``, ``found``, ``assigned`` and ``tracking``, each by band, and ``tunefile``.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import matplotlib

matplotlib.use("Agg")

import sodetlib
from sodetlib.det_config import DetConfig
from sodetlib.operations.tracking import TrackingResults


def main() -> None:
    """Tune the bands, and publish the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bands", type=int, nargs="+", required=True, metavar="BAND")
    parser.add_argument(
        "--keep", action="store_true", help="make this tune the slot's own, in its device configuration"
    )
    args = parser.parse_args()

    config = DetConfig()
    config.load_config_files(slot=int(os.environ["SLOT"]))  # smurfq sets SLOT to the slot that the script runs on
    S = config.get_smurf_control()  # noqa: N806 - as pysmurf's users call it
    found = {band: tuned(S, config, band) for band in args.bands}
    S.save_tune()
    for name in ("delay_us", "found", "assigned", "tracking"):
        sodetlib.set_session_data(S, name, {str(band): values[name] for band, values in found.items()})
    sodetlib.set_session_data(S, "tunefile", S.tune_file)
    if args.keep:
        config.dev.update_experiment({"tunefile": S.tune_file}, update_file=True)
    sodetlib.pub_ocs_log(S, f"tuned bands {', '.join(map(str, args.bands))}: {S.tune_file}")


def tuned(S: Any, config: Any, band: int) -> dict[str, Any]:  # noqa: N803
    """Tune a band without an earlier tune, and return its delay and its numbers of resonators."""
    own, experiment = config.dev.bands[band], config.dev.exp
    S.band_off(band)
    S.flux_ramp_off()
    sodetlib.pub_ocs_log(S, f"band {band}: delay of the cables and the card")
    delay_us, _ = S.estimate_phase_delay(band, make_plot=False, show_plot=False)
    sodetlib.pub_ocs_log(S, f"band {band}: searching for resonators")
    S.find_freq(
        band,
        tone_power=own["tone_power"],
        make_plot=True,
        save_plot=True,
        show_plot=False,
        amp_cut=experiment["res_amp_cut"],
        grad_cut=experiment["res_grad_cut"],
    )
    S.setup_notches(band, tone_power=own["tone_power"], new_master_assignment=True)
    S.run_serial_gradient_descent(band)
    S.run_serial_eta_scan(band)
    sodetlib.pub_ocs_log(S, f"band {band}: tracking")
    S.set_feedback_enable(band, 1)
    f, df, sync = S.tracking_setup(
        band,
        reset_rate_khz=experiment["flux_ramp_rate_khz"],
        fraction_full_scale=experiment["init_frac_pp"],
        lms_freq_hz=None,
        meas_lms_freq=True,
        lms_gain=own["lms_gain"],
        feedback_gain=own["feedback_gain"],
        feedback_start_frac=experiment["feedback_start_frac"],
        feedback_end_frac=experiment["feedback_end_frac"],
        make_plot=False,
        show_plot=False,
        channel=[],
        nsamp=2**18,
        return_data=True,
    )
    results = TrackingResults(S, config)
    results.add_band_data(band, f, df, sync)
    resonances = S.freq_resp[band]["resonances"].values()
    return {
        "delay_us": float(delay_us),
        "found": len(resonances),
        "assigned": sum(int(one["channel"]) >= 0 for one in resonances),
        "tracking": int(results.ngood),
    }


if __name__ == "__main__":
    main()
