"""The physics of a slot's detectors, in pure functions without state, clock or random seed.

The symbols are those of K. D. Irwin and G. C. Hilton, *Transition-Edge Sensors*, in *Cryogenic Particle
Detection*, Topics in Applied Physics 99 (Springer, 2005), 63-150, doi:10.1007/10933596_3. SI units throughout.
"""
