"""Bodies as GitHub sends them: signed, sent, and read back byte for byte."""

from __future__ import annotations

import hashlib
import hmac
import json

from needs import SHARED_DATA, needs

SECRET = "It's a Secret to Everybody"


def headers(body, event, delivery):
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
    }


def deliveries():
    """Event and body of each."""
    folder = SHARED_DATA / "github-webhooks"
    needs(folder.is_dir(), "bodies of real web hooks")
    files = sorted(folder.glob("*/*.json"))
    assert len(files) > 30
    return [(path.parent.name, path.read_bytes()) for path in files]


def test_every_body_comes_back_byte_for_byte_with_its_event(posting):
    web = posting(auth={"type": "github", "secret": SECRET}, headers=["X-GitHub-Event"])
    sent = deliveries()
    for number, (event, body) in enumerate(sent):
        assert web.post(body, headers(body, event, str(number))).status == 202
    assert web.values() == [body.strip() for _, body in sent]
    assert [found["X-GitHub-Event"].decode() for found in web.headers()] == [event for event, _ in sent]
    assert all(json.loads(value) for value in web.values())


def test_forged_altered_and_repeated_deliveries(posting):
    web = posting(auth={"type": "github", "secret": SECRET})
    event, body = deliveries()[0]
    good = headers(body, event, "one")
    assert web.post(body, good).status == 202
    assert web.post(body, good).headers["idempotent-replayed"] == "true"
    assert web.post(body.replace(b'"', b"'", 1), good).status == 401
    assert web.post(body + b" ", headers(body, event, "two")).status == 401
    unsigned = {name: value for name, value in good.items() if name != "X-Hub-Signature-256"}
    assert web.post(body, unsigned | {"X-GitHub-Delivery": "three"}).status == 401
    assert web.values() == [body.strip()]
