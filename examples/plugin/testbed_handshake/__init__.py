"""An example of a plug-in: one kind of fault (``faults.py``) and one kind of check (``checks.py``)."""
