"""``python -m smurfq``: the command line."""

from smurfq.cli import main

main(prog_name="smurfq")
