"""Calls that start together: what they make each other wait, and how late the last one is.

With P siblings of which each goes to a given instance with probability φ at most, a call meets
``k = (P − 1)·φ`` of the others where it goes.
"""

import numpy as np

from hexsolve.solver.placement.traffic import Traffic, Vector


def met(traffic: Traffic, share: float) -> Vector:
    """``k = (P − 1) · φ``: siblings that a call meets at its instance, per class."""
    return traffic.others * share


def last(traffic: Traffic, share: float, wait: Vector, together: Vector) -> Vector:
    """How much later than the mean the last of siblings is, ``ln(D) · wait + φ · together``, s.

    P siblings go to ``D = (1 − (1 − φ)^P)/φ`` instances on average, whose waits differ. The mean of
    the largest of D exponential times is ``1 + 1/2 + … + 1/D`` times their mean; ``1 + ln D`` is
    that at D = 1 and at most 0.42 more, which makes up for waits of 0 being likelier than
    exponential ones. Where all siblings meet (φ = 1) only their own work sets them apart.

    Parameters
    ----------
    traffic : Traffic
    share : float
        ``φ``.
    wait : Vector
        Mean wait of a call, siblings ahead of it included, s.
    together : Vector
        Mean work of siblings ahead of a call, s.
    """
    several = traffic.others > 0.0
    parallel = np.where(several, traffic.parallel, 1.0)
    instances = (1.0 - (1.0 - share) ** parallel) / share
    return np.where(several, np.log(instances) * wait + share * together, 0.0)
