"""Say the process id, and wait to be ended."""

import os
import time

print(os.getpid(), flush=True)
time.sleep(300)
