"""Implements `smurfq demo`: a control script, then an observing workflow, on its own simulated slot.

``place`` creates its site in a folder. ``script`` has the control script and its expected results. ``workflow`` is the
chain of operations. ``expected`` computes the true values from the slot's model, and ``findings`` compares the
measurements with them. ``pictures`` lists the files.
"""
