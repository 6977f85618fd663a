"""The manifest: what is written is read, and what is wrong is named."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrformer.checkpoints.configuration import config_from_values, config_to_values
from hrformer.checkpoints.errors import BadManifest, UnknownModel, UnreadableCheckpoint
from hrformer.checkpoints.manifest import (
    Entry,
    default_model,
    default_names,
    default_people_model,
    find,
    read_manifest,
    weights_directory,
    write_entry,
)
from hrformer.checkpoints.toml import toml_tables
from hrformer.modeling.variants import VARIANTS, variant
from tests.checkpoints.entries import entry
from tests.material import people_entry
from tests.strategies import quick


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.toml"
    write_entry(entry(tmp_path, "small-pose"), path)
    write_entry(entry(tmp_path, "small.parsing_2"), path, default=True)
    return path


def test_an_entry_is_read_as_it_was_written(tmp_path: Path, manifest: Path) -> None:
    assert read_manifest(manifest)["small-pose"] == entry(tmp_path, "small-pose")


def pets(directory: Path, **changes: Any) -> Entry:
    """A model of two classes that have names of their own."""
    named = replace(entry(directory, "pets"), task="segmentation", config=variant("tiny", "segmentation", 2))
    return replace(named, classes=("cat", "Ara ararauna"), **changes)


@pytest.mark.parametrize("colours", [(), ((1, 2, 3), (255, 0, 0))])
def test_names_and_colours_of_classes_are_kept(tmp_path: Path, colours: tuple[Any, ...]) -> None:
    path, named = tmp_path / "manifest.toml", pets(tmp_path, colours=colours)
    write_entry(named, path)

    assert read_manifest(path)["pets"] == named


def test_classes_have_their_own_names_and_colours_or_numbers(tmp_path: Path) -> None:
    own = pets(tmp_path, colours=((1, 2, 3), (255, 0, 0)))

    assert own.palette == (("cat", (1, 2, 3)), ("Ara ararauna", (255, 0, 0)))
    assert pets(tmp_path).palette == (("cat", (0, 0, 0)), ("Ara ararauna", (128, 0, 0)))
    assert replace(own, classes=(), colours=()).palette == (("class_0", (0, 0, 0)), ("class_1", (128, 0, 0)))
    assert replace(own, classes=(), colours=(), labels="person").palette[1][0] == "person"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("cat",)}, "model 'pets' names 1 classes; expected 2 or none"),
        ({"colours": ((1, 2, 3),)}, "model 'pets' names 1 colours; expected 2 or none"),
    ],
)
def test_as_many_classes_and_colours_are_named_as_there_are(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "manifest.toml"
    write_entry(replace(pets(tmp_path), **changes), path)
    with pytest.raises(BadManifest, match=message):
        read_manifest(path)


def test_a_model_without_names_of_classes_does_not_list_them(manifest: Path) -> None:
    assert "classes =" not in manifest.read_text()


def test_models_stand_in_the_order_of_the_file(manifest: Path) -> None:
    assert list(read_manifest(manifest)) == ["small-pose", "small.parsing_2"]


def test_writing_an_entry_again_replaces_it(tmp_path: Path, manifest: Path) -> None:
    write_entry(replace(entry(tmp_path, "small-pose"), sha256="new"), manifest)
    assert [e.sha256 for e in read_manifest(manifest).values()] == ["new", ""]


def test_the_default_of_a_task_is_found(manifest: Path) -> None:
    assert default_model("pose", manifest).name == "small.parsing_2"


def test_a_task_without_default_is_an_error(manifest: Path) -> None:
    with pytest.raises(UnknownModel, match="no default model for segmentation"):
        default_model("segmentation", manifest)


def test_the_defaults_are_told_by_task(manifest: Path) -> None:
    assert default_names(manifest) == {"pose": "small.parsing_2"}


def test_the_model_that_finds_people_is_the_default_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    write_entry(people_entry("first", file=tmp_path / "first.safetensors"), tmp_path / "manifest.toml")
    assert default_people_model() is None
    write_entry(
        people_entry("second", file=tmp_path / "second.safetensors"), tmp_path / "manifest.toml", default=True
    )
    found = default_people_model()

    assert found is not None
    assert (found.name, found.config) == ("second", people_entry().config)


def test_where_there_is_no_manifest_no_model_finds_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    assert default_people_model() is None


def test_an_unknown_name_is_answered_with_the_nearest(manifest: Path) -> None:
    with pytest.raises(UnknownModel, match=r"no model 'smal-pose': did you mean small-pose"):
        find("smal-pose", manifest)


def test_a_name_that_is_near_none_is_answered_with_all(manifest: Path) -> None:
    with pytest.raises(UnknownModel, match=r"there are small-pose, small\.parsing_2"):
        find("zzzz", manifest)


def test_the_environment_says_where_the_weights_are(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    assert weights_directory() == tmp_path
    assert find("small-pose").file.parent == tmp_path


def test_weights_lie_beside_the_package_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HRFORMER_WEIGHTS", raising=False)
    assert weights_directory() == Path(__file__).resolve().parents[2] / "weights"


def test_a_missing_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"there is no manifest .* set HRFORMER_WEIGHTS"):
        read_manifest(tmp_path / "manifest.toml")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("format = 1", "format = 2", "format 2; this version reads format 1"),
        ("format = 1", "format = ", "is not a manifest"),
        ("joints = 17", "joint = 17", "head has an unknown field 'joint'; known are joints"),
        ('task = "pose"', 'task = "depth"', "there is no task 'depth'"),
        ('labels = "coco"', 'labelz = "coco"', "has an unknown field 'labelz'"),
        ('labels = "coco"', "", "is incomplete: .*labels"),
        ('sha256 = ""', "", "model 'small-pose' has no field 'sha256'"),
        ("channels = [18, 36, 72, 144]", "", "backbone is incomplete: .*channels"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_named(manifest: Path, old: str, new: str, sentence: str) -> None:
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))
    with pytest.raises(BadManifest, match=sentence):
        read_manifest(manifest)


def test_a_field_that_an_earlier_version_did_not_write_takes_its_default(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace("mask_padding = false\n", ""))
    assert read_manifest(manifest)["small-pose"].config.backbone.mask_padding is False


def test_a_weight_file_outside_the_manifests_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not in the subpath"):
        write_entry(entry(tmp_path), tmp_path / "below" / "manifest.toml")


def test_a_path_that_is_no_weight_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnreadableCheckpoint, match="no safetensors file"):
        find(tmp_path / "x.safetensors")
    with pytest.raises(UnreadableCheckpoint, match="cannot be read"):
        find(tmp_path / "y.safetensors")


@pytest.mark.parametrize("name", VARIANTS)
def test_a_configuration_survives_as_plain_values(name: str) -> None:
    config = variant(*VARIANTS[name])
    assert config_from_values(**config_to_values(config)) == config


plain = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
)
values = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1), plain | st.lists(plain), max_size=4
)
tables = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1), plain | st.lists(plain) | values, max_size=4
)


def without_empty_tables(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value != {}}


@quick
@given(tables)
def test_any_values_written_as_toml_are_read_again(table: dict[str, Any]) -> None:
    assert tomllib.loads(toml_tables(table)) == without_empty_tables(table)


def test_a_value_without_a_form_in_toml_is_refused() -> None:
    with pytest.raises(TypeError, match="no form"):
        toml_tables({"a": object()})
