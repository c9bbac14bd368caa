"""Marking verdicts for any capture: packets in blocks, labelled and counted, then described or judged by a policy."""
