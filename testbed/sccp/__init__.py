"""SCCP without input or output: messages, framing, the phone's machine and the call control's machine."""
