"""Figures over many runs: kept beside the runs, compared by their distributions."""
