"""pysmurf configurations of the shapes that sites have, for simulated slots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from smurfq.sim.files import pysmurf_config
from smurfq.sim.options import Folders


def write_shape(path: Path, *, groups: int = 12, bands: int = 8, ratio: float = 6.08, **more: Any) -> Path:
    """Write a pysmurf configuration with this number of bias groups and bands, and this ratio of the current modes."""
    table = pysmurf_config(Folders.below(path.parent), 2)
    in_use = [str(band) for band in range(bands)]
    tune = table["tune_band"].items()
    table |= {
        "bias_group_to_pair": {str(group): [2 * group + 1, 2 * group + 2] for group in range(groups)},
        "init": {"dspEnable": 1, **{f"band_{band}": table["init"][f"band_{band}"] for band in in_use}},
        "tune_band": {
            name: {band: value[band] for band in in_use} if isinstance(value, dict) else value for name, value in tune
        },
        "all_bias_groups": [0],
        "high_low_current_ratio": ratio,
        **more,
    }
    text = "# written by hand\n" + json.dumps(table, indent=1).replace('"fs"', '# the rate\n"fs"')
    path.write_text(text)
    return path
