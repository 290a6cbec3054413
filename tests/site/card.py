"""Cards that answer Channel Access and are at rest: what looks at a card after a run need not wait for a timeout.

``python -m tests.site.card`` serves all slots of a crate until it is ended.
"""

from __future__ import annotations

from caproto import ChannelInteger
from caproto.asyncio.server import run

from smurfq.core.card import NUM_BANDS
from smurfq.smurf_control.card_state import CARD_REGISTERS, RELAY_REGISTERS, tone_registers
from smurfq.smurf_control.registers import BIAS_DACS, CRYOCARD_ANSWER, epics_root

_TONES = tone_registers(range(NUM_BANDS))
_LENGTHS = {BIAS_DACS: 32, **dict.fromkeys(_TONES, 512)}
_RELAYS_ARE_OFF = 2 << 20  # the address of the relays, and no bit


def main() -> None:
    """Serve the registers that a look at a card reads."""
    channels = {}
    for number in range(1, 8):
        for register in (*CARD_REGISTERS, *RELAY_REGISTERS, *_TONES):
            at_rest = _RELAYS_ARE_OFF if register == CRYOCARD_ANSWER else 0
            length = _LENGTHS.get(register)
            value = [at_rest] * length if length else at_rest
            channels[f"{epics_root(f'crate1slot{number}')}:{register}"] = ChannelInteger(value=value)
    print(f"serves {len(channels)} registers", flush=True)
    run(channels, interfaces=["127.0.0.1"])


if __name__ == "__main__":
    main()
