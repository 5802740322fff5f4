"""HTTPS, with and without certificates of clients."""

from __future__ import annotations

import datetime
import http.client
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.connectors import SourceContext
from ingest.environment import Environment
from ingest.errors import ConfigError
from ingest.sources.http.connector import HttpSource


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that signs itself, for 127.0.0.1; and its key."""
    import ipaddress

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")


def post(web, context):
    connection = http.client.HTTPSConnection("127.0.0.1", web.port, timeout=20, context=context)
    try:
        connection.request("POST", "/", b"{}", {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_https(posting, certificate):
    web = posting(tls={"certificate": certificate[0], "key": certificate[1]})
    assert post(web, ssl.create_default_context(cafile=certificate[0])) == 202
    with pytest.raises(ssl.SSLCertVerificationError):
        post(web, ssl.create_default_context())


def test_a_client_without_a_certificate_gets_no_further(posting, certificate):
    web = posting(tls={"certificate": certificate[0], "key": certificate[1], "client_authority": certificate[0]})
    anonymous = ssl.create_default_context(cafile=certificate[0])
    with pytest.raises((ssl.SSLError, OSError)):
        post(web, anonymous)
    known = ssl.create_default_context(cafile=certificate[0])
    known.load_cert_chain(*certificate)
    assert post(web, known) == 202
    assert web.values() == [b"{}"]


def test_a_certificate_that_is_missing_is_a_mistake_in_the_file(tmp_path):
    source = HttpSource(HttpSource.Settings(listen="127.0.0.1:0", tls={"certificate": "no.pem", "key": "no.pem"}))
    task = source.tasks(1)[0]
    with pytest.raises(ConfigError, match="certificate"):
        task.open(SourceContext("s", tmp_path, Environment()), {})
    task.close()
