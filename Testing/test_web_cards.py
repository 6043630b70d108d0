"""What the page shows of a model, and that a model's card can neither fetch nor run anything."""

from __future__ import annotations

import os

import pytest

from TumorSegLib.model.catalogue import default_catalogue

pytest.importorskip("slicer")
pytest.importorskip("markdown_it")


@pytest.fixture
def cards(host):
    from TumorSegWeb.model_cards import cards_of

    return {card["id"]: card for card in cards_of(default_catalogue().bundles)}


def test_a_card_says_what_the_model_draws_how_well_and_where_it_fails(cards):
    card = cards["liver-ct-munet"]
    details = dict(card["details"])
    assert details["Labels"] == "Liver, Liver tumour"
    assert details["Licence"] == "CC BY-NC-ND 4.0"
    assert "Liver tumour: Dice 0.45" in details["Accuracy"]
    assert "<h2>Known failures</h2>" in card["card"]
    assert "<table>" in card["card"]
    assert card["picture"].startswith("data:image/png;base64,")
    assert "liver tumour" in card["searched"]


def test_a_model_that_cannot_be_used_is_told_of_without_the_hosts_folders(
    host, tmp_path, monkeypatch
):
    from TumorSegWeb.model_cards import unusable

    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path))
    path = tmp_path / "broken" / "model.json"
    path.parent.mkdir()
    path.write_text("no JSON")
    catalogue = default_catalogue()
    (line,) = unusable(catalogue, with_places=True)
    assert line.startswith(f"{path}: not JSON")
    (line,) = unusable(catalogue, with_places=False)
    assert line.startswith("broken/model.json: not JSON".replace("/", os.sep))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=https://example.org/x onerror=alert(1)>",
        "![x](https://example.org/x.png)",
        "[x](javascript:alert(1))",
        "[x](https://example.org/)",
        "<https://example.org/>",
        "[x]: https://example.org/\n\n[x] ![x]",
    ],
)
def test_a_card_fetches_and_runs_nothing(host, hostile):
    from TumorSegWeb.model_cards import as_html

    shown = as_html(f"# Model\n\n{hostile}\n")
    assert not any(mark in shown for mark in ("<script", "<img", "<a "))
