"""Who may post: tokens and passwords before the body is read, signatures over the raw body after it.

All comparisons take the same time whatever they compare. Which of several secrets was right is not told, and a
failure says what was missing or wrong, never what would have been right.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping

from ingest.errors import ConfigError
from ingest.sources.http.refused import Refused
from ingest.sources.http.settings import AuthSettings

Headers = Mapping[bytes, bytes]
STANDARD_PREFIX = "whsec_"


class Authenticator:
    """Either check raises ``Refused`` with 401. Thread-safe."""

    def check_headers(self, headers: Headers) -> None:
        """Before the body is read."""
        return

    def check_body(self, headers: Headers, body: bytes, now_ms: int) -> None:
        """Once the body is there, as it came: before it is decompressed."""
        return


class Anybody(Authenticator):
    """No check."""


class Bearer(Authenticator):
    """``Authorization: Bearer TOKEN`` (RFC 6750)."""

    def __init__(self, settings: AuthSettings) -> None:
        self._tokens = [token.encode() for token in settings.secrets]

    def check_headers(self, headers: Headers) -> None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not _is_any(token.strip(), self._tokens):
            raise Refused(401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})


class Basic(Authenticator):
    """``Authorization: Basic …`` (RFC 7617), UTF-8."""

    def __init__(self, settings: AuthSettings) -> None:
        self._pairs = [pair.encode() for pair in settings.secrets]

    def check_headers(self, headers: Headers) -> None:
        scheme, _, encoded = headers.get(b"authorization", b"").partition(b" ")
        pair = _from_base64(encoded.strip()) if scheme.lower() == b"basic" else None
        if pair is None or not _is_any(pair, self._pairs):
            challenge = 'Basic realm="ingest", charset="UTF-8"'
            raise Refused(401, "a valid user and password are needed", headers={"WWW-Authenticate": challenge})


class Signed(Authenticator):
    """What the signatures have in common: they are over raw bytes, and any of the secrets may have made them."""

    algorithm = "sha256"

    def __init__(self, settings: AuthSettings) -> None:
        self.tolerance_ms = settings.tolerance
        self._secrets = [self.as_key(secret) for secret in settings.secrets]

    def as_key(self, secret: str) -> bytes:
        """The bytes that sign."""
        return secret.encode()

    def require(self, headers: Headers, name: str) -> bytes:
        """The header; a request without it is not signed."""
        value = headers.get(name.lower().encode())
        if not value:
            raise Refused(401, f"the request is not signed: {name} is missing")
        return value

    def require_recent(self, seconds: bytes, now_ms: int) -> None:
        """Refuses what was signed long ago, or will be."""
        if not seconds.isdigit() or len(seconds) > 12:
            raise Refused(401, "the signed timestamp is no number of seconds")
        if abs(now_ms - int(seconds) * 1000) > self.tolerance_ms:
            raise Refused(401, "the signed timestamp is too far from the clock: a replay, or a clock that is wrong")

    def require_signature(self, given: Iterable[bytes | None], *signed: bytes) -> None:
        """One of ``given`` must be a signature of ``signed`` by one of the secrets."""
        digests = [self._digest(secret, signed) for secret in self._secrets]
        good = False
        for signature in given:
            for digest in digests:
                good |= signature is not None and hmac.compare_digest(signature, digest)
        if not good:
            raise Refused(401, "the signature does not fit the body")

    def _digest(self, secret: bytes, signed: Iterable[bytes]) -> bytes:
        mac = hmac.new(secret, digestmod=self.algorithm)
        for part in signed:
            mac.update(part)
        return mac.digest()


class GitHub(Signed):
    """``X-Hub-Signature-256: sha256=<hex>`` over the body."""

    def check_body(self, headers: Headers, body: bytes, now_ms: int) -> None:
        scheme, _, signature = self.require(headers, "X-Hub-Signature-256").partition(b"=")
        self.require_signature([_from_hex(signature) if scheme == b"sha256" else None], body)


class Stripe(Signed):
    """``Stripe-Signature: t=<seconds>,v1=<hex>,…`` over ``<seconds>.<body>``."""

    def check_body(self, headers: Headers, body: bytes, now_ms: int) -> None:
        pairs = [part.strip().partition(b"=") for part in self.require(headers, "Stripe-Signature").split(b",")]
        seconds = [value for name, _, value in pairs if name == b"t"]
        if len(seconds) != 1:
            raise Refused(401, "Stripe-Signature must hold one t=")
        self.require_recent(seconds[0], now_ms)
        signatures = [_from_hex(value) for name, _, value in pairs if name == b"v1"]
        self.require_signature(signatures[:16], seconds[0], b".", body)


class StandardWebhooks(Signed):
    """``webhook-signature: v1,<base64> …`` over ``<webhook-id>.<webhook-timestamp>.<body>``."""

    def as_key(self, secret: str) -> bytes:
        text = secret.removeprefix(STANDARD_PREFIX)
        key = _from_base64(text.rstrip("=").encode() + b"=" * (-len(text.rstrip("=")) % 4))
        if key is None:
            raise ConfigError("a secret of standard-webhooks is base64, as a rule after whsec_", setting="auth")
        return key

    def check_body(self, headers: Headers, body: bytes, now_ms: int) -> None:
        identifier = self.require(headers, "webhook-id")
        seconds = self.require(headers, "webhook-timestamp")
        self.require_recent(seconds, now_ms)
        given = [part.partition(b",") for part in self.require(headers, "webhook-signature").split()]
        signatures = [_from_base64(value) for version, _, value in given if version == b"v1"]
        self.require_signature(signatures[:16], identifier, b".", seconds, b".", body)


class Hmac(Signed):
    """Any other header, as the settings say."""

    def __init__(self, settings: AuthSettings) -> None:
        super().__init__(settings)
        self.algorithm = settings.algorithm
        self._settings = settings

    def check_body(self, headers: Headers, body: bytes, now_ms: int) -> None:
        settings = self._settings
        value, prefix = self.require(headers, settings.header), settings.prefix.encode()
        text = value.removeprefix(prefix) if value.startswith(prefix) else b""
        signature = _from_hex(text) if settings.encoding == "hex" else _from_base64(text)
        if settings.timestamp_header is None:
            self.require_signature([signature], body)
            return
        seconds = self.require(headers, settings.timestamp_header)
        self.require_recent(seconds, now_ms)
        self.require_signature([signature], seconds, b".", body)


_TYPES: dict[str, type[Bearer] | type[Basic] | type[Signed]] = {
    "bearer": Bearer,
    "basic": Basic,
    "hmac": Hmac,
    "github": GitHub,
    "stripe": Stripe,
    "standard-webhooks": StandardWebhooks,
}


def authenticator_for(settings: AuthSettings) -> Authenticator:
    """Raises ``ConfigError`` for a secret that cannot be one."""
    if settings.type == "none":
        return Anybody()
    return _TYPES[settings.type](settings)


def _is_any(given: bytes, known: Iterable[bytes]) -> bool:
    good = False
    for one in known:
        good |= hmac.compare_digest(given, one)
    return good


def _from_hex(text: bytes) -> bytes | None:
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        return None


def _from_base64(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
