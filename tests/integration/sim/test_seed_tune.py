"""sodetlib's fit of a simulated slot's initial tune, which is like that of a setup."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sodetlib", reason="needs sodetlib (pip install smurfq[slot])")
pytest.importorskip("caproto", reason="needs caproto (pip install smurfq[sim])")

from sodetlib.resonator_fitting import fit_tune

from smurfq.sim.options import Folders, Options
from smurfq.sim.server import prepare
from tests.site.ports import free_port

SLOT = "crate1slot2"


@pytest.mark.slot
@pytest.mark.filterwarnings("ignore")  # the library's own
def test_a_fit_of_the_tune_gives_back_the_resonators(tmp_path: Path) -> None:
    options = Options(
        slots=(SLOT,),
        stream_ids={SLOT: "ufm_mv9"},
        folder=tmp_path,
        folders=Folders.below(tmp_path),
        port=free_port(),
        detectors=24,
    )
    prepare(options)
    (tune,) = (options.folders.smurf_data / "tune" / SLOT).glob("*_tune.npy")
    found = fit_tune(str(tune))
    with np.load(tmp_path / SLOT / "resonators.npz") as truth:
        rows = [
            np.flatnonzero((truth["band"] == band) & (truth["channel"] == channel)).item()
            for band, channel in zip(found["bands"], found["channels"], strict=True)
        ]
        assert len(rows) == (truth["detector"] >= 0).sum()
        q_i, at_mhz, kind = (truth[name][rows] for name in ("q_i", "frequency_mhz", "kind"))
    good = kind == "good"
    assert good.sum() > 12
    # The upper bands are mixed up by 2 GHz on their way, which the fit takes back; widths stay as they are.
    fitted_mhz = found["model_params"]["f_0"] + np.where(found["bands"] > 3, 2000.0, 0.0)
    assert np.abs(fitted_mhz - at_mhz)[good].max() < 0.1  # within what the SQUID moves it over
    expected = q_i * (found["model_params"]["f_0"] / fitted_mhz)
    assert found["derived_params"]["Qi"][good] == pytest.approx(expected[good], rel=0.2)
