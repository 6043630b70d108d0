"""Weights of shipped models change only in commits that say so."""

from __future__ import annotations

import subprocess

import pytest
from weights_guard import main

WEIGHTS = "Resources/Models/tiny/weights.safetensors"
FOREST = "Resources/Models/tiny/candidates.safetensors"


class Repository:
    """A git repository of a test's own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Eva")
        self.git("config", "user.email", "eva@example.org")

    def git(self, *words):
        subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self, subject, **changes):
        """Commit files, by their path; the content None removes one."""
        for name, content in changes.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-gpg-sign", f"--message={subject}")


@pytest.fixture
def repository(tmp_path):
    repository = Repository(tmp_path / "repository")
    repository.commit("First", **{WEIGHTS: "1", FOREST: "1", "README.md": "1"})
    return repository


def guard(repository, *words):
    return main(words, repository.folder)


def test_other_changes_need_no_mark(repository):
    repository.commit("Better words", **{"README.md": "2", "Resources/Models/tiny/README.md": "2"})
    assert guard(repository) == 0


@pytest.mark.parametrize("path", [WEIGHTS, FOREST, "Resources/Models/new/weights.safetensors"])
@pytest.mark.parametrize(
    ("subject", "status"),
    [
        ("weights: tiny 2, trained on more", 0),
        ("Trained tiny on more", 1),
        ("New weights: tiny 2", 1),
        ("weights of tiny 2", 1),
    ],
)
def test_a_change_of_weights_needs_it(repository, capsys, path, subject, status):
    repository.commit(subject, **{path: "2"})
    assert guard(repository) == status
    error = capsys.readouterr().err
    assert (f"({subject}) changes {path};" in error) == bool(status)


def test_taking_weights_out_is_a_change(repository):
    repository.commit("No tiny", **{WEIGHTS: None})
    assert guard(repository) == 1


def test_only_what_came_since_the_base_is_looked_at(repository, capsys):
    repository.commit("Trained", **{WEIGHTS: "2"})
    repository.commit("Better words", **{"README.md": "2"})
    assert guard(repository) == 0
    assert guard(repository, "HEAD~2") == 1
    assert "(Trained)" in capsys.readouterr().err


@pytest.mark.parametrize(("subject", "status"), [("Trained", 1), ("weights: trained", 0)])
def test_the_commits_that_a_merge_brings_are_looked_at(repository, subject, status):
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit(subject, **{WEIGHTS: "2"})
    repository.git("switch", "--quiet", "main")
    repository.commit("Better words", **{"README.md": "2"})
    repository.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    assert guard(repository) == status


def test_what_a_merge_itself_changes_is_looked_at(repository):
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("More words", **{"more.md": "2"})
    repository.git("switch", "--quiet", "main")
    repository.commit("Better words", **{"README.md": "2"})
    repository.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
    repository.commit("Merge side", **{WEIGHTS: "2"})
    assert guard(repository) == 1


def test_the_first_commit_may_hold_weights(repository, capsys):
    assert guard(repository) == 0
    assert "the first commit" in capsys.readouterr().out


def test_a_shallow_clone_says_that_it_cannot_tell(repository, tmp_path, capsys):
    repository.commit("Trained", **{WEIGHTS: "2"})
    address = repository.folder.as_uri()
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", address, str(tmp_path / "clone")], check=True
    )
    assert main([], tmp_path / "clone") == 0
    assert "cannot tell" in capsys.readouterr().out


def test_without_a_repository_it_cannot_tell_either(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "tree").mkdir()
    assert main([], tmp_path / "tree") == 0
    assert "cannot tell" in capsys.readouterr().out
