"""The operations of a soak: each writes down in its slot's journal what it does, at the moment it does it.

They know nothing of Celery, Redis or records. A line of a journal is ``what task pid time detail``; the time is of
CLOCK_MONOTONIC, which all processes of a machine share, and a line is one ``write`` to a file opened for appending.
"""

from __future__ import annotations

# sys.argv: the journal's path, and the plan as JSON; see `tests.soak.load.Plan`.
_PREAMBLE = """
import importlib.util, json, os, pathlib, subprocess, sys, time

journal, plan = sys.argv[1], json.loads(sys.argv[2])
task = os.environ["SMURF_SESSION_ID"]


def note(what, detail="-"):
    line = f"{what} {task} {os.getpid()} {time.clock_gettime(time.CLOCK_MONOTONIC):.6f} {detail}\\n"
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


note("start")
"""

# Left behind on purpose, in a session of its own, as a script that does not clean up leaves a helper: it must not
# live on beside the next operation.
_STRAY = """
import os, sys, time
journal, task = sys.argv[1:]
for _ in range(1200):
    line = f"stray {task} {os.getpid()} {time.clock_gettime(time.CLOCK_MONOTONIC):.6f} -\\n"
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)
    time.sleep(0.05)
"""

PUBLISHING = (
    _PREAMBLE
    + f"STRAY = {_STRAY!r}\n"
    + """
# The Publisher alone: importing pysmurf.client takes seconds.
import pysmurf

path = pathlib.Path(pysmurf.__file__).parent / "client" / "util" / "pub.py"
spec = importlib.util.spec_from_file_location("pub", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
pub = module.Publisher("soak", env_root="SMURFPUB_")
note("sent", 0)
folder = pathlib.Path(journal).parent / "smurf_data" / str(int(time.time()))
folder.mkdir(parents=True, exist_ok=True)
for number in range(plan["files"]):
    written = folder / f"{task}-{number}.txt"
    written.write_text(task)
    pub.register_file(str(written), "soak", format="txt")
if plan["stray"]:
    subprocess.Popen([sys.executable, "-S", "-c", STRAY, journal, task], start_new_session=True)
for number in range(plan["messages"]):
    mine = pub.seq_no
    if number % 2:
        pub.publish(f"m{mine} {task}", "session_log")
    else:
        pub.publish({f"k{mine}": task}, "session_data")
    note("sent", mine)
    time.sleep(plan["seconds"] / plan["messages"])
if plan["silent_end"]:
    sys.kept = pub  # no `stop` message: that anything is missing at its end shows in no number
for _ in range(int(plan["silent_end"] / 0.05)):
    time.sleep(0.05)
    note("alive")
print("value", plan["value"], flush=True)
if plan["fails"]:
    raise RuntimeError("as was planned")
note("end")
"""
)

STREAMING = (
    _PREAMBLE
    + """
from sodetlib import stream
from sodetlib.det_config import DetConfig

config = DetConfig()
config.load_config_files(slot=int(os.environ["SLOT"]))
control = config.get_smurf_control()
note("alive")
sid = stream.stream_g3_on(control, tag=plan["value"])
try:
    for _ in range(int(plan["seconds"] / 0.05)):
        time.sleep(0.05)
        note("alive")
finally:
    stream.stream_g3_off(control)
print("value", plan["value"], flush=True)
note("end")
"""
)
