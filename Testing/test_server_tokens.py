"""Tokens of a server's users: made, listed, revoked; and the user's own."""

from __future__ import annotations

import json
import os
import stat

import pytest

from TumorSegLib import cli
from TumorSegLib.errors import InputError
from TumorSegLib.remote.credentials import default_token_file, keep_token, place_of, token
from TumorSegLib.server.tokens import TokenFile

SECRET = "x" * 43


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TUMORSEG_TOKEN", raising=False)


def test_a_token_is_printed_once_and_only_its_hash_is_kept(tmp_path, capsys):
    file = tmp_path / "tokens.json"
    assert cli.main(["serve", "--tokens", str(file), "--add-token", "ward3", "--days", "30"]) == 0
    secret = capsys.readouterr().out.strip()
    assert TokenFile(file).user_of(secret) == "ward3"
    assert secret not in file.read_text()
    assert cli.main(["serve", "--tokens", str(file), "--list-tokens", "--json"]) == 0
    listed = capsys.readouterr().out
    (row,) = json.loads(listed)["tokens"]
    assert (row["user"], row["valid"]) == ("ward3", True)
    assert "sha256" not in row


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
def test_files_of_tokens_are_their_owners_alone(tmp_path):
    file = tmp_path / "tokens.json"
    TokenFile(file).add("ward", 1)
    keep_token(SECRET)
    for kept in (file, default_token_file()):
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    default_token_file().chmod(0o640)
    with pytest.raises(InputError, match="others can read this token"):
        token()


def test_a_running_server_sees_at_once_that_a_token_is_revoked(tmp_path, capsys):
    running = TokenFile(tmp_path / "tokens.json")
    secrets = [TokenFile(running.path).add(user, 1) for user in ("a", "b", "b")]
    assert [running.user_of(secret) for secret in secrets] == ["a", "b", "b"]
    assert cli.main(["serve", "--tokens", str(running.path), "--revoke-token", "b"]) == 0
    assert [running.user_of(secret) for secret in secrets] == ["a", None, None]
    (kept,) = running.tokens()
    assert cli.main(["serve", "--tokens", str(running.path), "--revoke-token", kept.id]) == 0
    assert running.user_of(secrets[0]) is None
    capsys.readouterr()
    assert cli.main(["serve", "--tokens", str(running.path), "--revoke-token", "b"]) == 2
    assert "neither a user with a token" in capsys.readouterr().err


def test_a_token_that_has_expired_does_not_count(tmp_path, capsys):
    file = TokenFile(tmp_path / "tokens.json")
    assert file.user_of(file.add("ward", 0)) is None
    assert cli.main(["serve", "--tokens", str(file.path), "--list-tokens"]) == 0
    assert "expired" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"tokens": [{"id": "a"}]}'])
def test_a_damaged_file_of_tokens_is_told_in_a_line(tmp_path, content):
    file = tmp_path / "tokens.json"
    file.write_text(content)
    with pytest.raises(InputError, match="is no file of tokens"):
        TokenFile(file).tokens()


@pytest.mark.parametrize("user", ["", "a b", "a\n", "x" * 65])
def test_a_user_whose_name_would_spoil_the_log_gets_no_token(tmp_path, user):
    with pytest.raises(InputError, match="expected letters"):
        TokenFile(tmp_path / "tokens.json").add(user, 1)


def test_the_users_own_token_comes_from_the_file_that_is_named_then_the_environment(
    tmp_path, monkeypatch
):
    with pytest.raises(InputError, match="no token for the server: neither in .* nor in"):
        token()
    keep_token(SECRET)
    assert token() == SECRET
    monkeypatch.setenv("TUMORSEG_TOKEN", "e" * 43)
    assert token() == "e" * 43
    assert token(default_token_file()) == SECRET
    keep_token("")
    assert not default_token_file().exists()
    with pytest.raises(InputError, match="no token, expected what"):
        keep_token("two words")


def test_a_token_is_in_no_text_of_a_place(monkeypatch):
    monkeypatch.setenv("TUMORSEG_TOKEN", SECRET)
    place = place_of("https://gpu.hospital.org/tumorseg/")
    assert (place.url, place.port) == ("https://gpu.hospital.org:443/tumorseg", 443)
    assert SECRET not in f"{place} {place!r}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("gpu.hospital.org", "expected an address such as"),
        ("ftp://gpu.hospital.org", "expected an address such as"),
        ("https://gpu:port", "expected an address such as"),
        ("http://gpu.hospital.org:8443", "in the clear"),
        ("https://user:word@gpu.hospital.org", "without user"),
    ],
)
def test_addresses_that_are_none_or_not_safe_are_refused(monkeypatch, url, why):
    monkeypatch.setenv("TUMORSEG_TOKEN", SECRET)
    with pytest.raises(InputError, match=why) as told:
        place_of(url)
    assert "word" not in str(told.value).replace("password", "")
