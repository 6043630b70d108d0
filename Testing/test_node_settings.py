"""What a node is told, its rules, and what it says of itself; nothing here is sent anywhere."""

from __future__ import annotations

import dataclasses
import http.client
import re
import tomllib
from pathlib import Path

import pytest
from bright_models import write_ct_model, write_model

from TumorSegLib.cli import main
from TumorSegLib.cohort.settings import Settings
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.node.queue import Named, Queue
from TumorSegLib.node.rules import Rule, Rules, Said
from TumorSegLib.node.settings import NodeSettings, read_settings
from TumorSegLib.node.status import read_status
from TumorSegLib.node.status_page import StatusPage, page_of
from TumorSegLib.support.schema import from_dict

pytestmark = pytest.mark.slow

FILE = """
folder = "node"
{more}
[receive]
callers = ["ORTHANC"]
{receive}
[send]
kind = "c-store"
host = "10.1.0.5"
port = 4242
ae_title = "ORTHANC"
{send}
{rules}
"""
RULE = '[[rule]]\nmodel = "tiny-ct"'


@pytest.fixture
def models(tmp_path, monkeypatch):
    write_ct_model(tmp_path / "models", "tiny-ct", default=True)
    write_ct_model(tmp_path / "models", "other-ct")
    write_model(tmp_path / "models", "tiny-mr", default=True)
    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", tmp_path / "none")
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(place, *, more="", receive="", send="", rules=RULE):
    path = place / "node.toml"
    path.write_text(FILE.format(more=more, receive=receive, send=send, rules=rules), "utf-8")
    return str(path)


def refused(capsys, words):
    """The one line with which a command ends."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def rules_of(place, *rules):
    return Rules(rules, Catalogue.of([place / "models"]), Settings())


def model_for(rules, modality="CT", part="", description=""):
    assignment = rules.assignment_for(Said(modality, part, description))
    return assignment.rule, assignment.bundle.id if assignment.bundle else None


def test_the_first_rule_that_fits_counts(models):
    rules = rules_of(
        models,
        Rule(ignore=True, description=("*scout*", "topo*")),
        Rule(model="other-ct", body_part=("LIVER", "ABDOMEN"), description=("*PORTAL*",)),
        Rule(model="tiny-ct", body_part=("abdomen",)),
        Rule(model="tiny-mr"),
    )
    assert model_for(rules, part="ABDOMEN", description="Scout") == (1, None)
    assert model_for(rules, part="Liver", description="ven. portal 2 mm") == (2, "other-ct")
    assert model_for(rules, part="ABDOMEN", description="arterial") == (3, "tiny-ct")
    assert model_for(rules, "MR") == (4, "tiny-mr")
    assert model_for(rules, part="CHEST") == (0, None)
    assert model_for(rules, "PT", "ABDOMEN") == (0, None)


def test_signs_of_patterns_are_only_star_and_question_mark(models):
    rules = rules_of(models, Rule(model="tiny-ct", description=("[T?] ax*",)))
    assert model_for(rules, description="[t2] AX 3 mm") == (1, "tiny-ct")
    assert model_for(rules, description="T ax") == (0, None)
    assert model_for(rules, description="an [T2] ax") == (0, None)


def test_check_says_what_each_rule_does(models, capsys):
    rules = """
[[rule]]
ignore = true
description = ["*scout*"]
[[rule]]
model = "tiny-ct"
[[rule]]
model = "other-ct"
body_part = ["ABDOMEN"]
"""
    assert main(["node", "--check", write(models, rules=rules)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "hears ORTHANC as TUMORSEG on 127.0.0.1:11112; a series is complete 30 s after its last"
        " image",
        "rule 1: every series with a description like *scout* is passed over",
        "rule 2: CT is segmented by tiny-ct 1 (Tiny tiny-ct)",
        "rule 3: CT of body part ABDOMEN is segmented by other-ct 1 (Tiny other-ct); never reached,"
        " since rule 2 takes all of them",
        "what no rule fits is accepted and passed over",
        "sends a segmentation and a report to ORTHANC at 10.1.0.5:4242; gives up after 72 h",
    ]
    assert not (models / "node").exists()


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"rules": '[[rule]]\nmodel = "tini-ct"'}, "rule 1: model tini-ct: not found"),
        (
            {"rules": '[[rule]]\nmodel = "tiny-ct"\nmodality = "MR"'},
            "rule 1: tiny-ct is for CT, the rule for MR",
        ),
        ({"rules": '[[rule]]\nmodality = "CT"'}, "expected either model or ignore = true"),
        ({"rules": f'{RULE}\nmodality = "PT"'}, "found 'PT', expected CT or MR"),
        ({"rules": f'{RULE}\nbodypart = "X"'}, "rule[0].bodypart: unknown key"),
        ({"rules": f"{RULE}\ndescription = 'x'"}, "description: found 'x', expected a list"),
        ({"rules": "", "more": "rule = []"}, "expected a [[rule]] or more"),
        ({"rules": ""}, "rule: missing"),
        ({"receive": 'ae_title = "A TITLE THAT IS TOO LONG"'}, "1 to 16 characters"),
        ({"receive": "port = 70000"}, "70000 is no port"),
        ({"receive": 'addresses = ["10.1.0.300"]'}, "10.1.0.300"),
        ({"receive": "quiet_seconds = -1"}, "a time is negative"),
        ({"send": "[send.tls]\ncertificate = 'a'"}, "name both or none"),
        ({"send": "[send.tls]\nauthorities = 'none.pem'"}, "none.pem: found no such file"),
        ({"send": "[send.tls]\nauthorities = 'node.toml'"}, "cannot be used for TLS"),
        (
            {"rules": f"[receive.tls]\ncertificate = 'node.toml'\nkey = 'node.toml'\n{RULE}"},
            "cannot be used for TLS",
        ),
        ({"more": "give_up_hours = 0"}, "expected more than 0"),
        ({"more": "colour = 1"}, "colour: unknown key"),
        ({"more": "= 3"}, "is not TOML"),
    ],
)
def test_a_wrong_rule_or_setting_is_one_line_before_the_start(models, capsys, told, line):
    assert line in refused(capsys, ["node", "--check", write(models, **told)])
    assert line in refused(capsys, ["node", write(models, **told)])


@pytest.mark.parametrize(
    ("content", "user", "line"),
    [
        ("Größe 12 m²".encode("latin-1"), "ward", "is no text; save it as UTF-8"),
        (b" \n", "ward", "is empty; expected the password or the token"),
        ("Größe 12 m²".encode(), None, "holds no token, which is one line of ASCII"),
        (b"one\ntwo", None, "holds no token, which is one line of ASCII"),
    ],
)
def test_a_password_that_cannot_be_sent_is_a_line_before_the_start(
    models, capsys, content, user, line
):
    (models / "secret").write_bytes(content)
    named = "" if user is None else f"user = '{user}'"
    watch = f"[watch]\nurl = 'http://127.0.0.1:9/dicom'\npassword_file = 'secret'\n{named}"
    path = write(models, rules=f"{RULE}\n{watch}")
    assert f"secret: {line}" in refused(capsys, ["node", path])


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_files_that_windows_saved_are_read(models, coding):
    path = Path(write(models))
    settings = read_settings(path)
    path.write_text(path.read_text("utf-8"), coding)
    assert read_settings(path) == settings


def test_a_file_that_is_not_there_is_a_line(models, capsys):
    assert "cannot be read" in refused(capsys, ["node", "none.toml"])


def test_who_may_send_has_to_be_said(models, capsys):
    path = write(models)
    text = (models / "node.toml").read_text().replace('["ORTHANC"]', "[]")
    (models / "node.toml").write_text(text)
    assert 'callers: name who may send, or ["*"] for everybody' in refused(capsys, ["node", path])


def test_relative_names_of_models_may_be_folders(models):
    settings = read_settings(
        models / write(models, rules=f'[[rule]]\nmodel = "{models}/models/tiny-ct"')
    )
    (assignment,) = rules_of(models, *settings.rule)._assignments
    assert assignment.bundle.id == "tiny-ct"


def filled(place):
    """A queue with a series in several states."""
    queue = Queue(place / "queue.sqlite")
    for number in range(4):
        series = f"1.2.{number}"
        for image in range(3):
            queue.note_image(Named(f"{series}.{image}", series, "1.9", "CT", "k"), mends=True)
        queue.note_connection([number + 1], broken=number == 0)
    rows = queue.tables.series("1")
    queue.note_failed(rows[1], "<b>too & little</b>")
    queue.note_complete(rows[2], key="k", model="tiny-ct")
    queue.note_passed(rows[3], "no rule fits it", key="k")
    queue.tables.close()


def test_status_says_how_it_stands_without_saying_who(models, capsys):
    place = models / "node"
    place.mkdir()
    filled(place)
    assert main(["node", "--status", write(models)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 received, 1 waiting, 1 passed over, 1 failed\n")
    assert re.search(
        r"^series 1: received since \S+ \S+, 3 images; the connection broke; the rest", said, re.M
    )
    assert re.search(r"^series 3: waiting since \S+ \S+, 3 images, tiny-ct$", said, re.M)
    assert "1.2.0" not in said
    assert main(["node", "--status", "--identify", write(models)]) == 0
    assert "1.2.0" in capsys.readouterr().out


def test_status_of_a_node_that_never_ran_is_a_line(models, capsys):
    assert "has the node been started?" in refused(capsys, ["node", "--status", write(models)])


def test_the_page_shows_states_and_reasons_and_nothing_that_a_page_obeys(models):
    place = models / "node"
    place.mkdir()
    filled(place)
    page = page_of(read_status(place))
    assert "1 received, 1 waiting, 1 passed over, 1 failed" in page
    assert "&lt;b&gt;too &amp; little&lt;/b&gt;" in page
    assert "1.2.1" not in page
    assert "<script" not in page


def asked(port, path="/", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode("utf-8")


def test_the_page_is_for_this_computer_alone(models):
    import socket

    place = models / "node"
    place.mkdir()
    filled(place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = StatusPage(place, port)
    page.start()
    try:
        assert asked(port)[0] == 200
        assert "TumorSeg node" in asked(port)[1]
        assert asked(port, "/queue.sqlite")[0] == 404
        assert asked(port, Host=f"elsewhere.example:{port}")[0] == 404
        assert page._server.server_address[0] == "127.0.0.1"
    finally:
        page.stop()


def test_the_queue_of_a_newer_node_is_refused(models, capsys):
    import sqlite3

    place = models / "node"
    place.mkdir()
    database = sqlite3.connect(place / "queue.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    from TumorSegLib.errors import OutputError

    with pytest.raises(OutputError, match="of another TumorSeg"):
        Queue(place / "queue.sqlite")


def test_without_its_packages_the_node_says_how_to_install_them(models, capsys, monkeypatch):
    monkeypatch.setattr("TumorSegLib.commands.node.find_spec", lambda name: None)
    line = refused(capsys, ["node", write(models)])
    assert "a node needs pynetdicom, which is not installed; run" in line


PAGE = (Path(__file__).resolve().parent.parent / "docs" / "node.md").read_text("utf-8")


def test_the_page_of_documentation_has_a_file_that_can_be_used(tmp_path):
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "node.toml").write_text(shown, "utf-8")
    settings = read_settings(tmp_path / "node.toml")
    assert [rule.model for rule in settings.rule] == [None, "liver-ct-unet"]
    assert settings.receive.callers == ("ORTHANC",)


def test_the_page_of_documentation_says_what_is_meant_by_default():
    told = dict(re.findall(r"`(\w+) = ([^`]+)`", PAGE.split("## Rules")[0]))
    minimal = {"folder": "x", "rule": [{"ignore": True}]}
    minimal["send"] = {"kind": "stow-rs", "url": "http://x"}
    settings = from_dict(
        NodeSettings, minimal | {"receive": {"callers": ["A"]}, "watch": {"url": "http://x"}}
    )
    known = {}
    for part in (settings, settings.receive, settings.watch):
        known |= {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    defaults = {name: tomllib.loads(f"v = {value}")["v"] for name, value in told.items()}
    assert {name: known[name] for name in defaults if name in known} == {
        name: value for name, value in defaults.items() if name in known
    }
    assert len(defaults.keys() & known.keys()) >= 11
