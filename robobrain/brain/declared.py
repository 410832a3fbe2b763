"""What all declarations of sources and monitors share when they come from a file or a message."""

from __future__ import annotations

from typing import Any, ClassVar


class Declared:
    """Base of the dataclasses that travel as JSON: unknown fields, NaN and infinities are refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}
