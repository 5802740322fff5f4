"""Who may post: published vectors, an independent signer, and forgeries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime

import pytest
from posting import JSON
from standardwebhooks import Webhook

from ingest.errors import ConfigError
from ingest.sources.http.authentication import authenticator_for
from ingest.sources.http.refused import Refused
from ingest.sources.http.settings import AuthSettings

NOW_MS = 1_700_000_000_000
NOW = NOW_MS // 1000
BODY = b'{"test": 2432232314}'


def accepts(settings, headers, body=BODY, now_ms=NOW_MS):
    """Whether a request gets in."""
    authenticator = authenticator_for(AuthSettings.model_validate(settings))
    lower = {name.lower().encode(): value.encode("latin-1") for name, value in headers.items()}
    try:
        authenticator.check_headers(lower)
        authenticator.check_body(lower, body, now_ms)
    except Refused as refused:
        status = refused.status
    else:
        return True
    assert status == 401
    return False


# -- published vectors


def test_githubs_documented_vector():
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    settings = {"type": "github", "secret": secret}
    assert accepts(settings, {"X-Hub-Signature-256": signature}, body)
    assert not accepts(settings, {"X-Hub-Signature-256": signature}, body + b"\n")
    assert not accepts(settings, {"X-Hub-Signature-256": signature[7:]}, body)
    assert not accepts(settings, {"X-Hub-Signature-256": "sha1=" + signature[7:]}, body)
    assert not accepts(settings, {"X-Hub-Signature": signature}, body)


def test_the_vector_of_standard_webhooks():
    settings = {"type": "standard-webhooks", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert accepts(settings, headers, body, 1614265330_000)
    assert not accepts(settings, headers, body, 1614265330_000 + 301_000)
    assert not accepts(settings, headers, body, 1614265330_000 - 301_000)
    assert not accepts(settings, headers | {"webhook-id": "msg_other"}, body, 1614265330_000)


def stripe_header(secret, body=BODY, at=NOW, scheme="v1"):
    """As Stripe's documentation tells to make it."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},{scheme}={digest}"


@pytest.mark.parametrize(
    ("header", "good"),
    [
        (stripe_header("whsec_a"), True),
        (stripe_header("whsec_a") + ",v0=00", True),
        (stripe_header("whsec_b") + "," + stripe_header("whsec_a").split(",")[1], True),
        (stripe_header("whsec_a", at=NOW - 299), True),
        (stripe_header("whsec_a", at=NOW - 301), False),
        (stripe_header("whsec_a", at=NOW + 301), False),
        (stripe_header("whsec_b"), False),
        (stripe_header("whsec_a", body=BODY + b" "), False),
        (stripe_header("whsec_a", scheme="v0"), False),
        (stripe_header("whsec_a").replace(f"t={NOW}", f"t={NOW + 1}"), False),
        (stripe_header("whsec_a").split(",")[1], False),
        (f"t={NOW},t={NOW - 1}," + stripe_header("whsec_a").split(",")[1], False),
        ("t=,v1=", False),
        ("t=1e9,v1=zz", False),
        ("", False),
    ],
)
def test_stripe(header, good):
    assert accepts({"type": "stripe", "secret": "whsec_a"}, {"Stripe-Signature": header}) is good


# -- Standard Webhooks: the list of tests that its own libraries pass

SECRET = "whsec_" + base64.b64encode(b"a secret of two dozen bytes").decode()


def signed(secret=SECRET, body=BODY, at=NOW, identifier="msg_1"):
    """By the independent library."""
    signature = Webhook(secret).sign(identifier, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": identifier, "webhook-timestamp": str(at), "webhook-signature": signature}


STANDARD = {"type": "standard-webhooks", "secret": SECRET}


def test_standard_webhooks_by_an_independent_signer():
    assert accepts(STANDARD, signed())
    assert accepts(STANDARD | {"secret": SECRET.removeprefix("whsec_")}, signed())
    assert accepts(STANDARD | {"secret": SECRET.rstrip("=")}, signed())


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_standard_webhooks_without_one_of_its_headers(missing):
    headers = signed()
    del headers[missing]
    assert not accepts(STANDARD, headers)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 40},
        {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": signed()["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é"},
    ],
)
def test_standard_webhooks_forged(change):
    assert not accepts(STANDARD, signed() | change)


def test_standard_webhooks_with_several_signatures():
    good = signed()["webhook-signature"]
    assert accepts(STANDARD, signed() | {"webhook-signature": f"v1,AAAA v2,xx {good} v1,BBBB"})


def test_rotated_secrets_are_all_good_for_a_while():
    other = "whsec_" + base64.b64encode(b"the secret that came after").decode()
    both = STANDARD | {"secret": [SECRET, other]}
    assert accepts(both, signed())
    assert accepts(both, signed(secret=other))
    assert not accepts(STANDARD | {"secret": other}, signed())


def test_a_secret_that_is_no_base64_is_a_mistake_in_the_file():
    with pytest.raises(ConfigError, match="base64"):
        authenticator_for(AuthSettings(type="standard-webhooks", secret="whsec_!"))


# -- any other signature


def test_a_signature_as_the_settings_describe_it():
    settings = {"type": "hmac", "secret": "s", "header": "X-Sig", "prefix": "v=", "algorithm": "sha512"}
    digest = hmac.new(b"s", BODY, hashlib.sha512).digest()
    assert accepts(settings, {"X-Sig": "v=" + digest.hex()})
    assert not accepts(settings, {"X-Sig": digest.hex()})
    assert not accepts(settings, {"X-Sig": "v=" + digest.hex()[:-1]})
    in_base64 = settings | {"encoding": "base64"}
    assert accepts(in_base64, {"X-Sig": "v=" + base64.b64encode(digest).decode()})
    dated = settings | {"timestamp_header": "X-Time", "tolerance": "10s"}
    stamped = hmac.new(b"s", f"{NOW}.".encode() + BODY, hashlib.sha512).hexdigest()
    assert accepts(dated, {"X-Sig": "v=" + stamped, "X-Time": str(NOW)})
    assert not accepts(dated, {"X-Sig": "v=" + stamped, "X-Time": str(NOW)}, now_ms=NOW_MS + 11_000)
    assert not accepts(dated, {"X-Sig": "v=" + stamped, "X-Time": str(NOW + 1)})


# -- tokens and passwords


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("Bearer one", True),
        ("bearer two", True),
        ("Bearer three", False),
        ("Bearer on", False),
        ("Bearer", False),
        ("Basic one", False),
        ("one", False),
        ("", False),
    ],
)
def test_bearer_tokens(value, good):
    assert accepts({"type": "bearer", "secret": ["one", "two"]}, {"Authorization": value}) is good


@pytest.mark.parametrize(
    ("pair", "good"),
    [("anna:paß:wort", True), ("anna:other", False), ("anna:", False), ("anna", False), ("", False)],
)
def test_user_and_password(pair, good):
    value = "Basic " + base64.b64encode(pair.encode()).decode()
    assert accepts({"type": "basic", "secret": "anna:paß:wort"}, {"Authorization": value}) is good


def test_what_is_no_base64_is_no_password():
    assert not accepts({"type": "basic", "secret": "a:b"}, {"Authorization": "Basic ???"})


# -- over a socket


def test_a_token_is_asked_for_before_the_body_is_read(posting):
    web = posting(auth={"type": "bearer", "secret": "t"})
    connection = web.socket()
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    connection.close()
    assert web.post("{}").headers["www-authenticate"] == "Bearer"
    assert web.post("{}", JSON | {"Authorization": "Bearer t"}).status == 202


def test_a_signature_is_over_the_body_as_it_came(posting):
    import gzip

    web = posting(auth={"type": "github", "secret": "s"})
    body = gzip.compress(b'{"a":1}')
    signature = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()
    headers = JSON | {"X-Hub-Signature-256": signature, "Content-Encoding": "gzip"}
    assert web.post(body, headers).status == 202
    assert web.post(gzip.compress(b'{"a":2}'), headers).status == 401
    assert web.values() == [b'{"a":1}']


def test_secrets_are_in_no_answer_and_no_settings(posting):
    web = posting(auth={"type": "bearer", "secret": "canary-7561"})
    answer = web.post("{}", JSON | {"Authorization": "Bearer wrong"})
    told = answer.body + repr(answer.headers).encode() + repr(web.source._settings).encode()
    assert b"canary" not in told + web.source._settings.model_dump_json().encode()


def test_a_recent_signature_by_the_wall_clock(posting):
    web = posting(auth={"type": "standard-webhooks", "secret": SECRET})
    assert web.post(BODY, JSON | signed(at=int(time.time()))).status == 202
    assert web.post(BODY, JSON | signed(at=int(time.time()) - 400, identifier="old")).status == 401
