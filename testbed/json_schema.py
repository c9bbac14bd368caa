"""The JSON schema of scenario files (draft-07, which editors read), from the same models that read them."""

from __future__ import annotations

from typing import Any

from testbed.scenario_model import registered_model

DRAFT = "http://json-schema.org/draft-07/schema#"


def scenario_schema() -> dict[str, Any]:
    """With every kind of fault and expectation that is registered, plug-ins' included."""
    schema = _older(registered_model().model_json_schema(by_alias=True))
    title = {"title": "Scenario of the IP telephony test-bed", "$schema": DRAFT}
    return {**title, **{key: value for key, value in schema.items() if key != "title"}}


def _older(value: Any) -> Any:
    """Draft 2020-12 as draft-07: definitions have another place. Titles that only repeat a name are left out."""
    if isinstance(value, list):
        return [_older(item) for item in value]
    if not isinstance(value, dict):
        return value.replace("#/$defs/", "#/definitions/") if isinstance(value, str) else value
    return {
        "definitions" if key == "$defs" else key: _older(item)
        for key, item in value.items()
        if not (key == "title" and isinstance(item, str))
    }
