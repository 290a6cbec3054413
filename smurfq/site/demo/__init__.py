"""Implements `smurfq demo`: a control script, then an observing workflow, on its own simulated slot.

``place`` is its site in a folder, ``script`` the control script and what must come back, ``workflow`` the chain of
operations, ``expected`` what the model of the slot holds, ``findings`` the comparison of what was measured with it,
``pictures`` the files that are left.
"""
