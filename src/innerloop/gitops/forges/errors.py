"""What a forge answers when it does not do what was asked.

    ForgeError
    ├── UnknownForge      the repository's address does not tell which forge it is
    ├── NoToken           no place has a token
    ├── Unreachable       no answer, or not one of the forge's API
    ├── RateLimited       too many requests, for longer than we wait
    └── Refusal           the forge's own words (status)
        ├── BadToken      401: expired, revoked, or of another forge
        ├── MissingScope  403: the token may not do that (needed, granted)
        ├── Forbidden     403: the user may not do that
        ├── NotFound      404: not there, or not for this token
        ├── Conflict      409: it is there already, or is in another state
        └── Invalid       400 and 422

No exception of the HTTP library leaves the package, and no error has the token in it.
"""

from __future__ import annotations

from innerloop.errors import LoopError


class ForgeError(LoopError):
    """Something about a forge that the user can mend."""


class UnknownForge(ForgeError):
    pass


class NoToken(ForgeError):
    pass


class Unreachable(ForgeError):
    pass


class RateLimited(ForgeError):
    def __init__(self, message: str, *, detail: str | None, hint: str, seconds: float) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.seconds = seconds
        """Until the forge takes requests again, by its own word."""


class Refusal(ForgeError):
    """The forge answered, and said no; ``words`` is what it said."""

    def __init__(self, message: str, *, status: int, words: str, hint: str | None = None) -> None:
        super().__init__(message, detail=words or None, hint=hint)
        self.status = status
        self.words = words


class BadToken(Refusal):
    pass


class MissingScope(Refusal):
    def __init__(
        self, message: str, *, status: int, words: str, hint: str, needed: tuple[str, ...], granted: tuple[str, ...]
    ) -> None:
        super().__init__(message, status=status, words=words, hint=hint)
        self.needed = needed
        """What the forge wants, in its own names; any one of them will do."""
        self.granted = granted
        """What the token has, where the forge tells."""


class Forbidden(Refusal):
    pass


class NotFound(Refusal):
    pass


class Conflict(Refusal):
    pass


class Invalid(Refusal):
    pass
