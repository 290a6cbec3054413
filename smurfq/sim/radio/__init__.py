"""The radio side of a simulated slot: resonators, what stands between them and the card, and what the card reads."""
