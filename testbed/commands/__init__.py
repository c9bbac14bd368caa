"""Groups of verbs of the command line, a file each."""
