from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorseg_training.case import ReaderOptions
from tumorseg_training.config import Synthesis
from tumorseg_training.labelling import LabelError
from tumorseg_training.synthesis import lesions, smooth_field, synthesise, synthetic_cases
from TumorSegLib.errors import InputError
from TumorSegLib.model.specification import Channel

pytestmark = pytest.mark.slow

CT = ReaderOptions((Channel("ct", "CT"),), (1, 2), modality="CT")
SHAPE = (24, 96, 96)
SPACING = (3.0, 3.0, 3.0)


def ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.bool_]:
    squares = [
        ((axis - c) / r) ** 2 for axis, c, r in zip(np.indices(SHAPE), centre, radii, strict=True)
    ]
    return np.asarray(sum(squares) < 1)


@pytest.fixture
def structures() -> dict[str, NDArray[np.bool_]]:
    return {
        "skin": ellipsoid((12, 48, 48), (40, 34, 44)),
        "liver": ellipsoid((12, 44, 30), (10, 16, 16)),
        "livertumor01": ellipsoid((12, 44, 30), (3, 4, 4)),
        "bone": ellipsoid((12, 70, 48), (40, 5, 6)),
    }


@pytest.fixture
def folder(tmp_path: Path, structures: dict[str, NDArray[np.bool_]]) -> Path:
    packed = {name: np.packbits(mask) for name, mask in structures.items()}
    np.savez(tmp_path / "3Dircadb1.2.npz", shape=SHAPE, spacing_zyx=SPACING, **packed)
    return tmp_path


def test_tissues_have_plausible_attenuation(structures: dict[str, NDArray[np.bool_]]) -> None:
    contrasts = []
    for seed in range(12):
        image = synthesise(structures, SPACING, np.random.default_rng(seed))
        healthy = structures["liver"] & ~structures["livertumor01"]
        means = {name: image[mask].mean() for name, mask in structures.items()}
        assert 20 < image[healthy].mean() < 165
        assert means["bone"] > 120
        assert image[:, :5, :5].mean() < -800
        assert image.min() >= -1024
        contrasts.append(means["livertumor01"] - image[healthy].mean())
    assert np.ptp(contrasts) > 30
    assert np.mean(np.array(contrasts) < 0) > 0.5


def test_cases_repeat_and_variants_differ(folder: Path) -> None:
    synthesis = Synthesis(str(folder), {"liver": 1, "livertumor*": 2}, variants=3)
    first, second = (synthetic_cases(synthesis, CT, seed=5) for _ in range(2))
    assert [case.name for case in first] == [f"synthetic-3Dircadb1.2-{n}" for n in range(3)]
    one, again, other = first[0].decode(), second[0].decode(), first[1].decode()
    np.testing.assert_array_equal(one.volumes["ct"].voxels, again.volumes["ct"].voxels)
    np.testing.assert_array_equal(one.labelmap, again.labelmap)
    assert one.volumes["ct"].grid.spacing != other.volumes["ct"].grid.spacing
    assert set(np.unique(one.labelmap)) == {0, 1, 2}


def test_label_volumes_of_known_patients_carry_their_name(folder: Path) -> None:
    synthesis = Synthesis(
        str(folder), {"liver": 1}, variants=1, patients={"3Dircadb1.2": "volume-29"}
    )
    assert [case.patient for case in synthetic_cases(synthesis, CT, seed=0)] == ["volume-29"]


def test_lesions_lie_in_the_liver(structures: dict[str, NDArray[np.bool_]]) -> None:
    volumes = []
    for seed in range(10):
        found = lesions(structures["liver"], SPACING, np.random.default_rng(seed))
        assert not (found & ~structures["liver"]).any()
        volumes.append(int(found.sum()))
    assert 0 in volumes or min(volumes) < max(volumes)
    assert max(volumes) > 0


def test_smooth_fields_are_normal_and_smooth() -> None:
    field = smooth_field((30, 60, 60), (2.0, 1.0, 1.0), 10, np.random.default_rng(0))
    assert field.std() == pytest.approx(1.0, abs=0.35)
    neighbours = np.corrcoef(field[:, :, 1:].ravel(), field[:, :, :-1].ravel())[0, 1]
    assert neighbours > 0.95


def test_impossible_sources_are_refused(tmp_path: Path, folder: Path) -> None:
    labels = {"liver": 1}
    with pytest.raises(InputError, match="no label volumes"):
        synthetic_cases(Synthesis(str(tmp_path / "none"), labels), CT, seed=0)
    with pytest.raises(LabelError, match="value 7"):
        synthetic_cases(Synthesis(str(folder), {"liver": 7}), CT, seed=0)
    mr = ReaderOptions((Channel("flair", "FLAIR"),), (1,), modality="MR")
    with pytest.raises(InputError, match="CT"):
        synthetic_cases(Synthesis(str(folder), labels), mr, seed=0)
    (folder / "broken.npz").write_bytes(b"PK")
    broken = synthetic_cases(Synthesis(str(folder), labels, variants=1), CT, seed=0)[1]
    with pytest.raises(InputError, match=r"broken\.npz: not a label volume"):
        broken.decode()
