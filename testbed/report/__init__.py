"""The report of a run: one HTML file, and JUnit XML."""
