"""The chaos harness: the real system, faults at named moments from a plan that a seed draws, and all that was seen."""
