from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_data import write_config, write_nnunet
from tiny_models import ct_specification, write_tiny_bundle

from tumorseg_training.begun import BEGUN, check_begun, check_patients, write_begun
from tumorseg_training.case import Case, CaseList
from tumorseg_training.commands.evaluate import cases_for, read_patients
from tumorseg_training.config import read_config
from tumorseg_training.datasets import select_cases, split_of
from tumorseg_training.patient_folds import folds_of
from tumorseg_training.recorded_names import those_among
from tumorseg_training.retraining_plan import RetrainRequest, planned
from tumorseg_training.sampling import EpochSampler, balanced_popularity, draw_weights
from tumorseg_training.slice_cache import fill_cache, open_cache
from tumorseg_training.started_from import patients_before
from TumorSegLib.errors import InputError
from TumorSegLib.export.identity import export_key
from TumorSegLib.model.provenance import Provenance


def test_drawn_folds_share_out_every_patient_once() -> None:
    patients = [f"p{index}" for index in range(13)]
    folds = folds_of(5, patients)
    assert sorted(patient for fold in folds.values() for patient in fold) == sorted(patients)
    assert {len(fold) for fold in folds.values()} == {2, 3}
    assert folds_of(5, reversed(patients)) == folds


def test_fewer_patients_than_folds_is_an_error() -> None:
    with pytest.raises(InputError, match="5 folds of 2 patients"):
        folds_of(5, ["a", "b", "a"])


def test_folds_of_groups_keep_a_patients_cases_together(tmp_path: Path) -> None:
    path = tmp_path / "volumes.json"
    path.write_text(
        json.dumps(
            {
                "7": {"group": "7-8", "fold": 1},
                "8": {"group": "7-8", "fold": 1},
                "9": {"group": "9", "fold": 0},
            }
        )
    )
    assert folds_of(str(path), ["7-8", "9"]) == {"fold0": {"9"}, "fold1": {"7-8"}}


def test_a_patient_in_two_folds_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"fold0": ["a"], "fold1": ["a", "b"]}))
    with pytest.raises(InputError, match="patient a is in fold0 and in fold1"):
        folds_of(str(path), ["a", "b"])


def test_folds_without_anybody_in_the_data_set_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"fold0": ["a"], "fold1": ["b"]}))
    with pytest.raises(InputError, match="none for fold1"):
        folds_of(str(path), ["a"])


def test_several_folds_are_kept_aside_together(tmp_path: Path) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    parts = [
        select_cases(read_config(path, [f"data.validate={fold}"])).split
        for fold in ("fold0", "fold2", "fold0+fold2")
    ]
    assert parts[2]["validation"] == sorted(parts[0]["validation"] + parts[1]["validation"])
    assert set(parts[2]["training"]) == set(parts[0]["training"]) & set(parts[1]["training"])
    with pytest.raises(InputError, match=r"data\.validate: found 'fold7', folds are fold0, fold1"):
        select_cases(read_config(path, ["data.validate=fold0+fold7"]))


def test_whoever_cannot_be_decoded_counts_on_neither_side(tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", 4)
    image = data / "imagesTr" / "BALL_001_0000.nii.gz"
    image.write_bytes(image.read_bytes()[:5000])
    config = read_config(write_config(tmp_path, data))
    found = select_cases(config)
    where = (config.model.input, tmp_path / "cache")
    fill_cache((*found.training, *found.validation), *where)
    split = split_of(open_cache(found.training, *where), open_cache(found.validation, *where))
    assert sorted(split["training"] + split["validation"]) == ["BALL_000", "BALL_002", "BALL_003"]


@pytest.mark.parametrize("further", ["data", "other/../data", "copy"])
def test_further_sets_leave_out_whom_the_data_set_keeps_aside(tmp_path: Path, further: str) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    write_nnunet(tmp_path / "copy", 4)
    (tmp_path / "other").mkdir()
    (aside,) = select_cases(read_config(path)).split["validation"]
    more = f'[[further]]\nfolder = "{tmp_path}/{further}"\nlayout = "nnunet"\n'
    path.write_text(path.read_text() + more)
    found = select_cases(read_config(path))
    assert len(found.training) == 6
    assert found.split["validation"] == [aside]
    assert aside not in found.split["training"]
    (line,) = found.unusable
    assert line.reason == "1 case of patients who are kept aside"
    assert not select_cases(read_config(path, ["data.validate="])).unusable


def test_a_further_set_is_known_by_its_files_where_patients_are_called_otherwise(
    tmp_path: Path,
) -> None:
    data = write_nnunet(tmp_path / "data", 4)
    names = {f"BALL_{number:03d}": f"P{number}" for number in range(4)}
    (tmp_path / "patients.json").write_text(json.dumps(names))
    path = write_config(tmp_path, data)
    path.write_text(f'{path.read_text()}[[further]]\nfolder = "{data}"\nlayout = "nnunet"\n')
    found = select_cases(read_config(path, [f"data.patients={tmp_path / 'patients.json'}"]))
    (aside,) = found.validation
    assert aside.name not in {case.name for case in found.training}


def begin(path: Path, folder: Path, *overrides: str) -> None:
    config = read_config(path, overrides)
    write_begun(folder, config, select_cases(config).split)


def go_on(path: Path, folder: Path, *overrides: str) -> list[str]:
    config = read_config(path, overrides)
    lines: list[str] = []
    check_begun(folder, config, select_cases(config).split, lines.append)
    return lines


def test_a_run_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    begin(path, tmp_path / "run")
    free = ("optimisation.workers=1", "data.cache=elsewhere", "data.licence=x", "model.title=x")
    assert go_on(path, tmp_path / "run", *free) == []


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.validate=fold1", r"data\.validate: .*begun with fold0, the config says fold1"),
        ("data.folder={other}", r"data\.folder: .*data, the config says .*other"),
        ("data.labels.ball=1", r"data\.labels: .*begun with \{\}, "),
        ("augmentation.rotate=20.0", r"augmentation\.rotate: .*begun with 10\.0, "),
        ("model.input.in_plane.spacing_mm=2.0", r"model\.input\.in_plane: .*begun with .*1\.5"),
        ("optimisation.seed=1", r"optimisation\.seed: .*begun with 0, the config says 1"),
        ("data.folds=2", r"BALL_00\d \(then trained on, now kept aside\)"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(
    tmp_path: Path, override: str, words: str
) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    other = write_nnunet(tmp_path / "other", 4)
    begin(path, tmp_path / "run")
    with pytest.raises(InputError, match=words) as refusal:
        go_on(path, tmp_path / "run", override.format(other=other))
    assert "\n" not in str(refusal.value)


def test_a_run_does_not_go_on_after_a_case_was_added_or_removed(tmp_path: Path) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    everybody = ("data.validate=", "data.folds=2")
    begin(path, tmp_path / "run", *everybody)
    (tmp_path / "data" / "labelsTr" / "BALL_001.nii.gz").unlink()
    with pytest.raises(InputError, match=r"BALL_001 \(then trained on, now gone\)"):
        go_on(path, tmp_path / "run", *everybody)
    write_nnunet(tmp_path / "data", 5)
    with pytest.raises(InputError, match=r"BALL_004 \(then not there, now trained on\)"):
        go_on(path, tmp_path / "run", *everybody)


def test_a_run_without_a_record_goes_on_with_a_line(tmp_path: Path) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    (line,) = go_on(path, tmp_path / "run")
    assert "has no begun.json; whether its patients are the same cannot be told" in line


@pytest.mark.parametrize(
    "content", ["", "[]", '{"settings": {}}', '{"settings": 1, "patients": 2}']
)
def test_a_damaged_record_of_a_run_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / BEGUN).write_text(content)
    with pytest.raises(InputError, match=r"begun\.json: cannot be read .*begin anew"):
        check_patients(tmp_path, {"training": [], "validation": []}, print)


def test_draws_have_the_wanted_shares() -> None:
    foreground = np.arange(1000) % 10 == 0
    synthetic = np.arange(1000) >= 800
    weights = draw_weights(foreground.astype(float), 0.6, synthetic, 0.25)
    places = np.array([draw.place for draw in EpochSampler(weights, 1000, 20000, seed=1)])
    assert foreground[places].mean() == pytest.approx(0.6, abs=0.02)
    assert synthetic[places].mean() == pytest.approx(0.25, abs=0.02)


def test_balanced_draws_show_rare_structures_and_small_cases() -> None:
    organ = np.arange(1000) < 500
    tumour = np.isin(np.arange(1000), [10, 11, 12, 13, 400])  # four slices of case 0, one of case 1
    cases = np.where(np.arange(1000) < 250, 0, 1)
    popularity = balanced_popularity(np.stack([organ, tumour], axis=1), cases)
    weights = draw_weights(popularity, 0.8, np.zeros(1000, np.bool_), 0.0)
    places = np.array([draw.place for draw in EpochSampler(weights, 1000, 20000, seed=1)])
    assert organ[places].mean() == pytest.approx(0.8, abs=0.02)
    assert tumour[places].mean() == pytest.approx(0.4, abs=0.03)
    shown_alone = (places == 400).sum() / np.isin(places, [10, 11, 12, 13]).sum()
    assert shown_alone == pytest.approx(0.5, abs=0.1)


def test_without_shares_every_slice_is_drawn_once() -> None:
    nothing = np.zeros(50, np.bool_)
    assert draw_weights(nothing.astype(float), None, nothing, 0.0) is None
    assert sorted(draw.place for draw in EpochSampler(None, 50, 50, seed=1)) == list(range(50))


def test_processes_share_one_epoch_and_epochs_differ() -> None:
    whole = EpochSampler(None, 40, 40, seed=3)
    parts = [EpochSampler(None, 40, 40, seed=3, rank=rank, processes=2) for rank in range(2)]
    for sampler in (whole, *parts):
        sampler.set_epoch(4)
    draws = list(whole)
    assert list(parts[0]) == draws[::2]
    assert list(parts[1]) == draws[1::2]
    whole.set_epoch(5)
    assert list(whole) != draws


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "..", "", "a/b"])
def test_a_folds_name_names_no_place(tmp_path, name):
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({name: ["a"], "fold1": ["b"]}))
    with pytest.raises(InputError, match="expected letters, digits"):
        folds_of(str(path), ["a", "b"])


@pytest.fixture
def key(tmp_path, monkeypatch):
    """The key of a user who has exported cases."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return export_key()


def test_a_patient_is_the_same_by_name_and_by_hash(key) -> None:
    name, hashed = "TCGA_XX_0001", key.patient("TCGA_XX_0001")
    for one, other in ((name, name), (name, hashed), (hashed, name), (hashed, hashed)):
        assert those_among([one, "TCGA_XX_0002"], {other}) == {one}
    assert those_among([key.patient("volume-12")], ["volume-12"])  # numbers of public cases, too


def test_without_a_key_patients_are_compared_by_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert those_among(["a", "b"], ["b", "c"]) == {"b"}
    assert not list(tmp_path.iterdir())


def test_exported_cases_of_a_bases_patients_are_not_held_out(key) -> None:
    names = [f"TCGA_XX_{number:04d}" for number in range(8)]
    trained_on, further = names[:6], names[6:]
    provenance = Provenance(split={"training": tuple(trained_on)})
    model = SimpleNamespace(
        provenance=provenance, version="1.0.0", weights=SimpleNamespace(sha256="")
    )
    new = [Case(f"case_{name}", key.patient(name), (), list) for name in names]
    old = [Case(name, name, (), list) for name in (*further, "TCGA_YY_0001", "TCGA_YY_0002")]
    base = SimpleNamespace(id="base", specification=model)
    lists = CaseList(tuple(new)), CaseList(tuple(old))
    plan = planned(RetrainRequest(Path("new"), "base"), base, *lists, "base-2", "1.1.0")
    assert {name.removeprefix("case_") for name in plan.held_out} <= set(further)
    assert {*plan.old_training, *plan.old_held_out} <= {"TCGA_YY_0001", "TCGA_YY_0002"}


def test_weights_that_have_seen_who_is_kept_aside_are_refused(tmp_path, key) -> None:
    config = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    (aside,) = select_cases(read_config(config, [])).split["validation"]
    learners = [f"BALL_{number:03d}" for number in range(4) if f"BALL_{number:03d}" != aside]
    for name, split in (
        ("plain", {"training": [aside]}),
        ("hashed", {"earlier": [key.patient(aside)]}),
        ("fitting", {"training": learners, "validation": [aside]}),
    ):
        model = ct_specification(id=name, provenance=Provenance(split=split))
        write_tiny_bundle(tmp_path / "run", model)
    (tmp_path / "run" / "last.ckpt").touch()
    for source in ("plain", "hashed", "last.ckpt"):
        start = f"optimisation.start_from={tmp_path / 'run' / source}"
        with pytest.raises(InputError, match=rf"1 of the 1 patients kept aside \({aside}\)"):
            select_cases(read_config(config, [start]))
        select_cases(read_config(config, [start, "data.validate="]))
    select_cases(read_config(config, [f"optimisation.start_from={tmp_path / 'run' / 'fitting'}"]))
    assert patients_before(str(tmp_path / "run" / "fitting")) == set(learners)
    assert not patients_before("resnet18.pth") | patients_before("no such model")


def write(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_names_of_no_case_are_told_and_refused_where_none_fits(tmp_path) -> None:
    config = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    names = {f"BALL_{number:03d}": f"P{number // 2}" for number in range(4)}
    path = write(tmp_path / "pat.json", {f"{name}.nii.gz": who for name, who in names.items()})
    wishes = [f"data.patients={path}", "data.folds=2"]
    with pytest.raises(InputError, match=r"4 of 4 names \(BALL_000\.nii\.gz, .* called BALL_000, "):
        select_cases(read_config(config, wishes))
    write(tmp_path / "pat.json", names | {"BALL_009": "P9"})
    (note,) = select_cases(read_config(config, wishes)).notes
    assert note.startswith("data.patients: pat.json: 1 of 5 names (BALL_009) are no cases")
    write(tmp_path / "pat.json", names)
    assert not select_cases(read_config(config, wishes)).notes


def test_patients_in_no_fold_and_names_of_nobody_are_told(tmp_path) -> None:
    config = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    path = write(tmp_path / "folds.json", {"fold0": ["BALL_000", "ball_1"], "fold1": ["BALL_002"]})
    nobody, outside = select_cases(read_config(config, [f"data.folds={path}"])).notes
    assert "folds.json: 1 of 3 names (ball_1) are no patients of the data set" in nobody
    assert "2 of 4 patients (BALL_001, BALL_003) are in no fold: always trained on" in outside
    write(tmp_path / "folds.json", {"fold0": ["a"], "fold1": ["b"]})
    with pytest.raises(InputError, match=r"2 of 2 names \(a, b\) are no patients of the data set"):
        select_cases(read_config(config, [f"data.folds={path}"]))
    write(tmp_path / "folds.json", {"fold0": ["BALL_000"], "fold1": []})
    with pytest.raises(InputError, match="none for fold1; use fewer"):
        select_cases(read_config(config, [f"data.folds={path}"]))


@pytest.mark.parametrize("text", ["7", "7\n", '["7"]', "[7]", '{"fold0": [7]}'])
def test_one_patient_may_be_a_number(tmp_path, text) -> None:
    path = tmp_path / "patients.txt"
    path.write_text(text)
    assert read_patients(path, "fold0") == {"7"}


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", ["Bär\r\nP2\r\n", '["Bär", "P2"]'])
def test_a_list_of_patients_may_be_as_windows_saves_it(tmp_path, text, coding) -> None:
    path = tmp_path / "patients.txt"
    path.write_bytes(text.encode(coding))
    assert read_patients(path, None) == {"Bär", "P2"}
    path.write_bytes("Bär".encode("cp1252"))
    with pytest.raises(InputError, match="is no text in UTF-8"):
        read_patients(path, None)


def test_an_evaluation_can_be_told_whom_cases_show(tmp_path, capsys) -> None:
    bundle = write_tiny_bundle(tmp_path, ct_specification())
    path = write(tmp_path / "pat.json", {f"BALL_{n:03d}": f"P{n // 2}" for n in range(5)})
    arguments = SimpleNamespace(
        dataset=write_nnunet(tmp_path / "data", 4),
        layout="nnunet",
        labels=[("ball", 2)],
        spacing=None,
        window=None,
        mask_suffix="_mask",
        patients=None,
        patients_of=Path(path),
        annotated=None,
    )
    cases = cases_for(bundle, arguments)
    assert [case.patient for case in cases] == ["P0", "P0", "P1", "P1"]
    assert "--patients-of: pat.json: 1 of 5 names (BALL_004)" in capsys.readouterr().err
