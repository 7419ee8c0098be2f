"""Shipped recipes, and recipes of a user's own."""

import pytest

from edgeasc.errors import BadInput, UsageError
from edgeasc.nn.layers import count_parameters
from edgeasc.nn.registry import create_model
from edgeasc.recipes import list_recipes, load_recipe, models_folder
from edgeasc.sizes import parse_size
from edgeasc.specs import Waveform, dump_toml, nearest


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_builds_its_network_and_has_a_card(name):
    recipe = load_recipe(name)
    assert count_parameters(create_model(recipe.model.name, 10, **recipe.model.options)) > 0
    assert recipe.features.n_mels % 32 == 0 or isinstance(recipe.features, Waveform)
    assert (models_folder() / name / "card.md").read_text().startswith("# ")


def test_papers_recipes_have_the_papers_settings():
    for name in ("bcresnet-mod-1", "bcresnet-mod-8", "bcresnet-8"):
        recipe = load_recipe(name)
        assert (recipe.features.n_mels, recipe.n_frames) == (256, 334)
        assert (recipe.train.epochs, recipe.train.warmup_epochs, recipe.train.lr) == (100, 5.0, 0.06)
        assert (recipe.train.batch_size, recipe.train.momentum, recipe.train.weight_decay) == (64, 0.9, 1e-3)
        assert (recipe.augment.roll_seconds, recipe.augment.mixup_alpha) == (1.5, 0.3)
        assert (recipe.augment.freq_masks, recipe.augment.freq_mask_width) == (2, 40)
        assert (recipe.augment.time_masks, recipe.augment.time_mask_width) == (2, 80)


@pytest.mark.parametrize(
    "settings, classes, parameters",
    [
        ((), 50, (5_183_618, 3_231_850)),
        (("model.options.samples=90112", "data.clip_seconds=4.0867120"), 10, (5_175_386, 3_223_618)),
        (
            (
                "model.options.samples=16384",
                "model.options.factors=4 4 4",
                "features.sample_rate=16000",
                "data.clip_seconds=1.024",
            ),
            35,
            (1_971_955, 1_496_283),
        ),
    ],
)
def test_recipes_of_eat_take_the_three_data_sets_by_the_settings_they_name(settings, classes, parameters):
    for name, total in zip(("eat-s-aa", "eat-s-gmme"), parameters, strict=True):
        recipe = load_recipe(name, settings)
        assert count_parameters(create_model(name, classes, **recipe.model.options)) == total


@pytest.mark.parametrize("name", ["cnn6", "cnn10", "mobilenet-v1", "resnet22", "wideresnet28-2"])
def test_primates_recipes_have_the_settings_of_their_system(name):
    recipe = load_recipe(name)
    train, augment = recipe.train, recipe.augment
    assert (recipe.model.name, recipe.n_samples, recipe.n_frames, recipe.features.n_mels) == (name, 47_860, 150, 64)
    assert (train.optimizer, train.amsgrad, train.lr, train.schedule) == ("adam", True, 1e-3, "constant")
    assert (train.iterations, train.batch_size, train.evaluate_every, train.sampler) == (60_000, 32, 200, "balanced")
    assert (train.loss, train.select) == ("bce-when-mixed", "macro-accuracy") and recipe.sigmoids
    assert not load_recipe(name, ("augment.mixup_alpha=0",)).sigmoids
    assert (train.ema, train.ema_decay, train.ema_start) == ("ramp", 0.995, 15_000)
    assert (augment.place, augment.mixup_of, augment.mixup_alpha, augment.masks_per) == ("norm", "pairs", 1.0, "clip")
    assert (augment.freq_masks, augment.freq_mask_width, augment.time_masks) == (2, 7, 2)
    assert augment.time_mask_width == (15 if name == "cnn10" else 63)


def test_epochs_for_a_recipe_that_counts_iterations_are_refused_with_the_cure():
    with pytest.raises(UsageError, match=r"set train\.iterations instead, or also to 0"):
        load_recipe("cnn10", ("train.epochs=3",))
    assert load_recipe("cnn10", ("train.epochs=3", "train.iterations=0")).train.epochs == 3


def test_masks_beside_augmentation_of_waveforms_are_named_as_idle():
    assert load_recipe("eat-s-gmme").idle == ()
    assert load_recipe("eat-s-gmme", ("augment.mixup_alpha=0.2", "augment.place=norm")).idle == (
        "augment.mixup_alpha",
        "augment.place",
    )
    assert load_recipe("cnn10", ("augment.mixup_alpha=0.2",)).idle == ()


def test_a_lone_word_where_a_list_belongs_is_told_how_to_write_it():
    with pytest.raises(
        UsageError, match=r'wave_augment\.mixes: Input should be a list in brackets, such as \["mixup"\]'
    ):
        load_recipe("eat-s-gmme", ("wave_augment.mixes=mixup",))


@pytest.mark.parametrize("name", [name for name in list_recipes() if "norm" in load_recipe(name).model.options])
def test_eps_of_resnorm_can_be_held_by_the_int8_form(name):
    assert load_recipe(name).model.options["eps"] >= 1e-3


def test_settings_change_a_recipe():
    recipe = load_recipe("esc10", ("model.options.c=40", "train.epochs=3"))
    assert (recipe.model.options["c"], recipe.train.epochs) == (40, 3)


def test_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'bcresnet-mod-8'"):
        load_recipe("bcresnet-mod8")


def test_of_equally_close_words_the_one_that_ends_alike_is_meant():
    assert nearest("dcase22", ["dcase2021-1a", "dcase2022", "dcase2025"]) == "; did you mean 'dcase2022'?"


@pytest.mark.parametrize("text", ["٣٢KiB", "3²kB", "1e3"])
def test_a_size_is_written_with_plain_digits(text):
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


def test_own_file_is_read_by_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(dump_toml(load_recipe("esc10")))
    assert load_recipe(str(path)) == load_recipe("esc10")


def test_missing_file_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        load_recipe(str(tmp_path / "none.toml"))


def test_unknown_key_names_file_and_nearest_key(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nname = "bcresnet-mod-1"\n[train]\nepoch = 3\n')
    with pytest.raises(UsageError, match=r"mine\.toml: unknown key 'train\.epoch'; did you mean 'epochs'"):
        load_recipe(str(path))
