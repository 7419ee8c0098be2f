"""What every specification is: frozen, validated once, hashed by content."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Spec(BaseModel):
    """Base of all specifications: frozen, unknown keys refused.

    Fields named in `LATER` came after runs and artefacts had been written: at their default they are left out of the
    written form, so that what was written before reads, and hashes, as it did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built when first used: imports are quick
    LATER: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_defaults_of_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        for name in self.LATER:
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                document.pop(name, None)
        return document

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON form."""
        return document_digest(self.model_dump(mode="json"))


def document_digest(document: dict[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `document` as canonical JSON."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
