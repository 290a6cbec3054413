"""``uxm_setup`` as a person's own script has it; prints the seconds that it took beside its imports."""

import json
import sys
import time

from sodetlib.det_config import DetConfig
from sodetlib.operations.uxm_setup import uxm_setup

began = time.perf_counter()
config = DetConfig()
config.load_config_files(slot=int(sys.argv[1]))
control = config.get_smurf_control()
succeeded, _ = uxm_setup(control, config, bands=[int(band) for band in sys.argv[2:]], show_plots=False)
if not succeeded:
    sys.exit("uxm_setup failed")
print("TOOK " + json.dumps(time.perf_counter() - began))
