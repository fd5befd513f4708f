"""Who a secret speaks for: a person's session or a program's token, told by how it begins."""

from __future__ import annotations

from coldtrail_gateway.audit import secret_text, sessions, tokens
from coldtrail_gateway.audit.access import Denied, Who
from coldtrail_gateway.store.tower.database import Tower


def who(tower: Tower, secret: str, source: str, now_ms: int) -> Who:
    """Return who asks.

    Raises:
        Denied: the secret is none, or has ended.
    """
    if len(secret) > secret_text.LONGEST:
        raise Denied("This is neither a session nor a token: it is too long.")
    if secret.startswith(secret_text.SESSION):
        return sessions.who(tower, secret, now_ms)
    if secret.startswith(secret_text.TOKEN):
        return tokens.who(tower, secret, source, now_ms)
    raise Denied(
        f"This is neither a session ({secret_text.SESSION}…) nor a token ({secret_text.TOKEN}…)."
    )
