"""The same sodetlib calls as a person's own script has them, in a process that has nothing connected yet.

Prints the seconds from the first thing done with the card to the end, without the imports: {operation: seconds}.
"""

import json
import sys
import time

import sodetlib
from sodetlib.det_config import DetConfig

CALLS = {
    "set_biases": lambda control, _: (
        [control.set_tes_bias_bipolar(group, 0.0) for group in range(12)] + [control.get_tes_bias_bipolar_array()]
    ),
    "stream": lambda control, _: sodetlib.take_g3_data(control, 0.5),
}

name = sys.argv[1]
began = time.perf_counter()
config = DetConfig()
config.load_config_files(slot=int(sys.argv[2]))
control = config.get_smurf_control(make_logfile=False)
control.load_tune(config.dev.exp["tunefile"])
CALLS[name](control, config)
print("TOOK " + json.dumps({name: time.perf_counter() - began}))
