"""Servers show the certificate that is in its file when somebody calls, without a new start."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from TumorSegLib.errors import InputError
from TumorSegLib.node.settings import ServerTls
from TumorSegLib.node.tls import server_context
from TumorSegLib.server.address import Address, listening, tls_context

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key, in place of what is there."""
    certificate, key = folder / "chain.pem", folder / "key.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    return certificate, key


def shown(context: ssl.SSLContext, name: str | None = None) -> bytes:
    """Return the certificate that a caller meets who asks for `name`."""
    caller = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    caller.check_hostname, caller.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = caller.wrap_bio(down, up, server_hostname=name)
    there = context.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for end in (here, there):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return here.getpeercert(binary_form=True)


def der(certificate: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.read_text("ascii"))


def of_server(certificate: Path, key: Path) -> ssl.SSLContext:
    return tls_context(Address(certificate=certificate, key=key))


def of_node(certificate: Path, key: Path) -> ssl.SSLContext:
    return server_context(ServerTls(str(certificate), str(key)))


@needs_openssl
@pytest.mark.parametrize("name", [None, "localhost"])
@pytest.mark.parametrize("made", [of_server, of_node])
def test_callers_meet_the_renewed_certificate(tmp_path, made, name):
    certificate, key = write_certificate(tmp_path)
    context = made(certificate, key)
    earlier = der(certificate)
    assert shown(context, name) == earlier
    write_certificate(tmp_path)
    assert shown(context, name) == der(certificate) != earlier


@needs_openssl
def test_the_earlier_one_stays_until_certificate_and_key_fit(tmp_path, caplog):
    certificate, key = write_certificate(tmp_path)
    context, earlier = of_server(certificate, key), der(certificate)
    kept = key.read_bytes()
    write_certificate(tmp_path)
    renewed_key = key.read_bytes()
    key.write_bytes(kept)
    assert [shown(context) for _ in range(2)] == [earlier, earlier]
    assert caplog.text.count("the earlier certificate stays in use") == 1
    certificate.rename(tmp_path / "away")
    assert shown(context) == earlier
    (tmp_path / "away").rename(certificate)
    key.unlink()
    key.write_bytes(renewed_key)
    assert shown(context) == der(certificate) != earlier


def test_no_other_server_takes_a_port_while_one_is_still_starting():
    with listening(Address(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match="cannot be listened to .*is another server running"):
            listening(Address(port=port))
