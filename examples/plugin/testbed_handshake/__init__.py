"""An example of a plug-in: a kind of fault (``faults.py``), its proof (``proofs.py``) and a kind of check (``checks.py``)."""
