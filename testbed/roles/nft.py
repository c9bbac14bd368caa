"""nft's commands by its own library in this process: a rule is in the kernel within a millisecond, where starting nft takes ten to
thirty on a busy machine. libnftables(3); Debian's package ``nftables`` brings it."""

from __future__ import annotations

import ctypes
from typing import Any

LIBRARY = "libnftables.so.1"
_CALLS: dict[str, tuple[Any, list[Any]]] = {
    "nft_ctx_new": (ctypes.c_void_p, [ctypes.c_uint32]),
    "nft_ctx_buffer_output": (ctypes.c_int, [ctypes.c_void_p]),
    "nft_ctx_buffer_error": (ctypes.c_int, [ctypes.c_void_p]),
    "nft_ctx_get_output_buffer": (ctypes.c_char_p, [ctypes.c_void_p]),
    "nft_ctx_get_error_buffer": (ctypes.c_char_p, [ctypes.c_void_p]),
    "nft_run_cmd_from_buffer": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
}
"""Name -> (result, arguments), from nftables/libnftables.h."""


class Nft:
    """One context of the library, for one thread; it lives as long as the process."""

    def __init__(self, library: Any) -> None:
        for name, (result, arguments) in _CALLS.items():
            call = getattr(library, name)
            call.restype, call.argtypes = result, arguments
        self._library, self._context = library, library.nft_ctx_new(0)
        if not self._context:
            raise OSError("libnftables has no context")
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    @classmethod
    def loaded(cls) -> Nft | None:
        """None where the library, or a call of it, is not there: then nft itself is started each time."""
        try:
            return cls(ctypes.CDLL(LIBRARY))
        except (OSError, AttributeError):
            return None

    def run(self, argv: list[str], text: str | None) -> str:
        """What nft prints for this command; RuntimeError with what it complains of, as nft itself does."""
        rules = text if text is not None else " ".join(argv[1:])
        failed = self._library.nft_run_cmd_from_buffer(self._context, rules.encode())
        # Both are read each time: reading is what empties them.
        said = self._library.nft_ctx_get_output_buffer(self._context).decode(errors="replace")
        wrong = self._library.nft_ctx_get_error_buffer(self._context).decode(errors="replace").strip()
        if failed:
            raise RuntimeError(f"{' '.join(argv)}: {wrong or 'no reason given'}")
        return str(said)


def is_rules(argv: list[str], text: str | None) -> bool:
    """Whether this is nft with rules from its input, or with words that are rules: no other option is understood here."""
    return argv == ["nft", "-f", "-"] if text is not None else argv[:1] == ["nft"] and not argv[1].startswith("-")
