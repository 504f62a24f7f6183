"""What is learned from a table as JSON in a model file, read back strictly."""

from __future__ import annotations

from typing import ClassVar, Self

import msgspec

from chainrule.errors import ModelFileError


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Plain data with JSON; `called` is what messages call it."""

    called: ClassVar[str]

    def to_json(self) -> bytes:
        """As JSON; `from_json` gives the same bits."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """What `to_json` was called on.

        Raises
        ------
        ModelFileError
            If the JSON is not that, exactly.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelFileError(f"{cls.called} is damaged ({error}); train the model again") from None
