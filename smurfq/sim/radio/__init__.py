"""The radio side of a simulated slot: resonators, signal chain, and the card's readings."""
