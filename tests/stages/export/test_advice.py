from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stages.export import advice, assessment
from stages.export.assessment import Facts
from stages.export.clip import Clip
from tests.stages.export.conftest import FRAMES, Inputs

ALL_ROUND = {"the front": 2, "the right": 2, "the back": 2, "the left": 2}


@pytest.fixture(scope="module")
def facts(clip: Clip, inputs: Inputs, history: dict) -> Facts:
    return replace(assessment.gather(clip, inputs, history), sides_seen=ALL_ROUND, remarks=[])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"frames_seen": 5}, "not found in 3 of 8 frames"),
        ({"cut_off": 4}, "cut off"),
        ({"person_height": 0.2}, "only 20% of the picture's height"),
        ({"avatar_iou": 0.7}, "overlap 0.70"),
        ({"blur": 0.7}, "blurred (0.70"),
    ],
)
def test_advice_names_what_was_wrong(facts: Facts, manifests: dict, change: dict, words: str) -> None:
    good = replace(facts, frames_seen=FRAMES)
    assert not any(words in one for one in advice.advice(good, "user", manifests, {}))
    assert any(words in one for one in advice.advice(replace(good, **change), "user", manifests, {}))


def test_advice_passes_on_guesses_engines_and_warnings(facts: Facts, manifests: dict, history: dict) -> None:
    found = " ".join(advice.advice(facts, "guess", manifests, history))
    for words in ("focal length was guessed", "No depth estimate", "Masks is unsure.", "The depth was odd."):
        assert words in found
    assert "guessed" not in " ".join(advice.advice(facts, "metadata", manifests, history))


def test_advice_says_what_the_size_rests_on(facts: Facts, manifests: dict) -> None:
    guessed = {"size_from": "population prior", "height": 1.7}
    assert any("1.70 m is a guess" in one for one in advice.advice(facts, "user", manifests, guessed))
    known = {"size_from": "given height", "height": 1.7}
    assert not any("is a guess" in one for one in advice.advice(facts, "user", manifests, known))


def test_advice_tells_of_other_people(facts: Facts, manifests: dict) -> None:
    several = {
        "engine": "x",
        "summary": {"chosen": 2, "people": [{"person": 1}, {"person": 2}, {"person": 3}]},
    }
    found = advice.advice(facts, "user", {**manifests, "detect": several}, {})
    assert any("Person 2 was followed; 2 more were found." in one for one in found)
    assert not any("was followed" in one for one in advice.advice(facts, "user", manifests, {}))


def test_what_was_made_is_told_in_figures(facts: Facts) -> None:
    words = advice.made(facts, {"height": 1.75}, 0.7)
    for figure in (f"{facts.gaussians:,} Gaussians", "8 frames, 0.7 s", "found in 7 of them", "1.75 m tall"):
        assert figure in words
    assert "found in all of them" in advice.made(replace(facts, frames_seen=FRAMES), {}, 0.7)


@pytest.mark.parametrize("overlap, grade", [(0.95, "well:"), (0.87, "fairly well:"), (0.5, "poorly:")])
def test_quality_is_graded_by_the_overlap(facts: Facts, overlap: float, grade: str) -> None:
    words = advice.quality(replace(facts, avatar_iou=overlap))
    assert f"fits the person {grade}" in words
    assert f"{overlap:.0%}" in words
    assert "20.5 dB PSNR, against 12.0 dB" in words


def test_quality_of_nothing(facts: Facts) -> None:
    assert "Nothing could be measured" in advice.quality(replace(facts, avatar_iou=None, held_out={}))


@pytest.mark.parametrize(
    "seen, words",
    [
        ({"the back": 0}, "from the back. Let"),
        ({"the right": 0, "the back": 0}, "from the right or the back. Let"),
    ],
)
def test_sides_that_no_frame_shows_are_named(facts: Facts, seen: Mapping[str, Any], words: str) -> None:
    (told,) = advice.filming(replace(facts, sides_seen={**ALL_ROUND, **seen}))
    assert words in told
    one_sided = replace(facts, sides_seen={**ALL_ROUND, **seen}, remarks=["Seen from one side."])
    assert advice.filming(one_sided) == ["Seen from one side."]


def test_a_warning_is_told_once(facts: Facts, manifests: dict) -> None:
    told = replace(facts, remarks=["Seen from one side."])
    found = advice.advice(told, "user", manifests, {"warnings": ["Seen from one side."]})
    assert found.count("Seen from one side.") == 1
