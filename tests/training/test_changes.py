"""`field=value` on the command line."""

import pytest

from hrformer.training.changes import change
from hrformer.training.recipe import PoseRecipe
from hrformer.training.recipes import RECIPES, tiny_parsing, tiny_pose


def changed(*changes: str) -> PoseRecipe:
    recipe: PoseRecipe = change(tiny_pose(), changes)
    return recipe


def test_a_field_takes_another_value() -> None:
    assert changed("batch_size=8").batch_size == 8


def test_a_field_of_a_field_takes_another_value() -> None:
    recipe = changed("augmentation.flip=0.25", "network.backbone.drop_path=0.2")

    assert (recipe.augmentation.flip, recipe.network.backbone.drop_path) == (0.25, 0.2)
    assert recipe.augmentation.erase == tiny_pose().augmentation.erase


def test_a_whole_number_stands_for_a_fraction() -> None:
    value = changed("learning_rate=1").learning_rate

    assert (value, type(value)) == (1.0, float)


def test_sizes_flags_and_choices_are_python_literals() -> None:
    recipe = changed("input_size=(96, 64)", "autocast=False", "network.backbone.upsample=nearest")

    assert (recipe.input_size, recipe.autocast) == ((96, 64), False)
    assert recipe.network.backbone.upsample == "nearest"


def test_the_recipe_itself_is_left_alone() -> None:
    recipe = tiny_pose()
    change(recipe, ["seed=7"])

    assert recipe == tiny_pose()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size", "'batch_size' is no change; expected field=value"),
        ("batchsize=8", "no field 'batchsize'; fields here are network, input_size"),
        ("augmentation.flipp=1", "no field 'augmentation.flipp'; fields here are flip, scale"),
        ("seed.x=1", "no field 'seed.x'; 0 has none"),
        ("augmentation=1", "augmentation has fields of its own; set one of them, as augmentation.flip=…"),
        ("batch_size=many", "batch_size is 32; 'many' is not of the same type"),
        ("batch_size=8.5", "batch_size is 32; '8.5' is not of the same type"),
        ("autocast=1", "autocast is True; '1' is not of the same type"),
        ("learning_rate=True", "learning_rate is 0.0015; 'True' is not of the same type"),
        ("network.backbone.upsample=cubic", "upsample is one of bilinear, nearest; not 'cubic'"),
        ("batch_size=0", "batch_size is 0; expected 1 or more"),
        ("steps=-1", "steps is -1; expected 1 or more"),
        ("learning_rate=0", "learning_rate is 0.0; expected more than 0"),
        ("schedule=linear", "schedule is one of cosine, step; not 'linear'"),
        ("drops=(0.5, 1.5)", r"drops is \(0.5, 1.5\); expected shares of the run between 0 and 1"),
        ("drops=('a',)", "expected shares of the run"),
        ("drop_factor=0", "drop_factor is 0.0; expected more than 0, at most 1"),
        ("ema_decay=1", "ema_decay is 1.0; expected 0 to below 1"),
        ("input_size=(128,)", r"input_size has \(128,\); expected \(height, width\) in multiples of 4"),
        ("input_size=(128, 97)", r"input_size has \(128, 97\); expected"),
        ("input_size=(16, 96)", r"input_size has \(16, 96\); expected"),
    ],
)
def test_a_change_that_cannot_be_is_told(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(text)


@pytest.mark.parametrize("text", ["input_sizes=()", "input_sizes=((256, 190),)", "input_sizes=(256, 192)"])
def test_sizes_that_a_mask_model_cannot_be_served_at_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="input_sizes"):
        change(tiny_parsing(), [text])


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_says_how_it_is_run(name: str) -> None:
    assert f"hrformer train {name} --data DIR" in (RECIPES[name].__doc__ or "")
