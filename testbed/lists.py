"""Where a user may write one thing for a list of it: ``press: services`` for ``press: [services]``."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Either:
    """The same said in a JSON schema: one item, or several."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(core)
        return {"anyOf": [several.get("items", {}), several]}


ONE_OR_MORE = (BeforeValidator(_as_list), _Either())
"""Annotations of a field that is a list."""
