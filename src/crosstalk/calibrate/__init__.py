"""From published results to a posterior of the unknowns, and verdicts on results that were never fitted."""
