"""Signatures as Standard Webhooks defines them (version 1, symmetric)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises ``ValueError``."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError(f"a signing secret is {PREFIX} and base64")
    return key


def signed(keys: Sequence[bytes], message: str, now_s: int, body: bytes) -> dict[str, str]:
    """The headers that say who has sent ``body``, and when; ``message`` names it, the same at each attempt."""
    content = b"%b.%d.%b" % (message.encode(), now_s, body)
    signatures = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
