"""Presets, overrides and what the resolved configuration says."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import config
from minigan.errors import ConfigError

KEYS = [(s, f) for s, kind in config.SECTIONS.items() for f in dataclasses.fields(kind)]


@pytest.mark.parametrize("preset", config.presets())
def test_a_preset_reads_back_from_its_resolved_toml(preset: str) -> None:
    resolved = config.load(preset)
    text = resolved.to_toml()
    assert config.from_toml(text, "config.toml") == resolved
    for section, f in KEYS:
        assert f"{f.name} = " in text and f.metadata["doc"] in text, f"{section}.{f.name} is not explained"


@given(st.text().filter(lambda s: s.encode("utf-8", "ignore").decode() == s))
def test_any_name_survives_the_resolved_toml(name: str) -> None:
    given = config.from_dict({"data": {"name": name}, "preset": name}, "test")
    assert config.from_toml(given.to_toml(), "test") == given


@given(
    st.floats(0, 1e6),
    st.integers(1, 10**6),
    st.lists(st.integers(1, 10**6), min_size=1, max_size=5),
    st.sampled_from(["minimax", "hinge"]),
)
def test_values_survive_as_overrides(lr: float, z: int, widths: list[int], loss: str) -> None:
    texts = [f"g.lr={lr!r}", f"model.z={z}", f"model.widths_g={widths}", f"loss.name={loss}"]
    pairs = [("g.lr", lr), ("model.z", z), ("model.widths_g", widths), ("loss.name", loss)]
    made = config.load("digits", texts)
    assert made == config.load("digits", pairs)
    assert (made.g.lr, made.model.z, made.model.widths_g, made.loss.name) == (lr, z, tuple(widths), loss)


def test_the_last_override_counts_and_epochs_replace_steps() -> None:
    assert config.load("digits", ["g.lr=1", "g.lr=0.5"]).g.lr == 0.5
    assert config.load("digits", ["train.steps=5"]).train.steps == 5
    by_epochs = config.load("digits", ["train.epochs=5"]).train
    assert (by_epochs.steps, by_epochs.epochs) == (0, 5)
    assert config.load("digits", ["train.epochs=5", "train.steps=7"]).train.steps == 7


def test_a_file_starts_from_the_preset_it_names(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('preset = "digits"\n[g]\nlr = 0.25\n[train]\nepochs = 3\n')
    own, base = config.load(str(path)), config.load("digits")
    assert own.g.lr == 0.25 and own.d == base.d and own.model == base.model
    assert (own.train.steps, own.train.epochs) == (0, 3) and own.preset == str(path)
    path.write_text('preset = "mine"\n[g]\nlr = 0.25\n')
    assert config.load(str(path)).d == config.Optim()


def test_range_follows_the_output() -> None:
    for output, expected in (("tanh", "-1..1"), ("sigmoid", "0..1"), ("none", "raw")):
        assert config.load("digits", [f"model.output={output}"]).data.range == expected


def test_every_default_is_within_its_own_rules() -> None:
    assert config.from_dict({}, "defaults").data.range == "0..1"
    for section, f in KEYS:
        low, high = f.metadata["low"], f.metadata["high"]
        for bound, beyond in ((low, -1), (high, 1)):
            if bound is not None and not isinstance(f.default, str | tuple):
                with pytest.raises(ConfigError, match=f"{section}.{f.name}"):
                    config.load("digits", [(f"{section}.{f.name}", type(f.default)(bound + beyond))])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("g.lr=nan", "a number"),
        ("g.lr=inf", "a number"),
        ("g.lr=true", "a number"),
        ("model.z=2.0", "a whole number"),
        ("model.widths_g=[1.5]", "whole numbers"),
        ("model.widths_g=[]", "whole numbers"),
        ("model.widths_g=[0]", "at least 1"),
        ("model.noise=norml", "did you mean 'normal'"),
        ("data.channels=2", "known: 0, 1, 3"),
        ("loss.smoothing=0.9", "at most 0.5"),
        ("train.dtype=float64 ", None),
    ],
)
def test_a_bad_value_says_what_is_expected(override: str, words: str | None) -> None:
    if words is None:
        assert config.load("digits", [override]).train.dtype == "float64"
        return
    with pytest.raises(ConfigError) as e:
        config.load("digits", [override])
    assert words in str(e.value) and override.split("=")[0] in str(e.value), str(e.value)


def test_changed_names_the_keys_a_resume_may_not_change() -> None:
    a = config.load("digits")
    assert config.changed(a, config.load("digits", ["train.steps=3", "train.keep=5", "data.name=elsewhere"])) == []
    assert config.changed(a, config.load("digits", ["g.lr=0.5", "train.seed=1"])) == ["g.lr", "train.seed"]
