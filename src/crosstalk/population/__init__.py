"""Virtual patients: distributions, correlations, draws, eligibility; a study run on them."""
