"""What the figures mean, in plain words: what was made, how good it is, what could be better."""

from collections.abc import Mapping
from typing import Any

from stages.export.assessment import Facts

_CUT_OFF_FRAMES = 0.1  # share of the frames from which on it is worth a word
_SMALL = 0.35
_BLURRED = 0.55
_GOOD_OVERLAP, _POOR_OVERLAP = 0.9, 0.85

Manifests = Mapping[str, Mapping[str, Any]]


def made(facts: Facts, history: Mapping[str, Any], seconds: float) -> str:
    """What came of the clip, which lasts so many seconds."""
    seen = "all of them" if facts.frames_seen == facts.frames else f"{facts.frames_seen} of them"
    words = [
        f"An avatar of {facts.gaussians:,} Gaussians and the motion of one person in {facts.frames} frames, "
        f"{seconds:.1f} s; the person was found in {seen}."
    ]
    if height := history.get("height"):
        words.append(f"They are taken to be {height:.2f} m tall.")
    if facts.joints:
        most = max(facts.joints, key=lambda joint: joint.mean)
        turned = sum(joint.mean for joint in facts.joints) / len(facts.joints)
        words.append(
            f"Refining the motion turned a joint by {turned:.0f}° on average, the "
            f"{most.name.replace('_', ' ')} most, by {most.mean:.0f}°."
        )
    return " ".join(words)


def quality(facts: Facts) -> str:
    """How good the avatar is, as far as pictures can tell."""
    words = []
    if facts.avatar_iou is not None:
        grade = _grade(facts.avatar_iou)
        words.append(
            f"The avatar fits the person {grade}: in the pictures the two overlap to {facts.avatar_iou:.0%} "
            f"({_GOOD_OVERLAP:.0%} and more is good)."
        )
    fitted, initial = (facts.held_out.get(name) for name in ("fitted poses", "initial poses"))
    if fitted:
        before = f", against {initial['psnr']:.1f} dB with the motion as first estimated" if initial else ""
        words.append(f"On frames kept back from it, its colours reach {fitted['psnr']:.1f} dB PSNR{before}.")
    if not words:
        return "Nothing could be measured: no frame shows the person."
    return " ".join([*words, "No picture tells how well it fits in depth."])


def filming(facts: Facts) -> list[str]:
    """What to film differently for a better avatar."""
    found = []
    if facts.cut_off > _CUT_OFF_FRAMES * facts.frames_seen:
        found.append(
            f"The person is cut off by the picture's edge in {facts.cut_off} frames. "
            "Film the whole body, with some room around it."
        )
    if facts.person_height is not None and facts.person_height < _SMALL:
        found.append(
            f"The person fills only {facts.person_height:.0%} of the picture's height. "
            "Come nearer for more detail."
        )
    if facts.blur is not None and facts.blur > _BLURRED:
        found.append(
            f"The person is blurred ({facts.blur:.2f}; sharp video has about 0.3, and above 0.5 fine detail "
            "is gone). More light, slower movements and a clean, focused lens help."
        )
    unseen = [side for side, count in facts.sides_seen.items() if not count]
    if unseen and facts.frames_seen and not facts.remarks:  # which say the same of clips that show little
        found.append(f"No frame looks at the person from {_listed(unseen)}. Let them turn once around.")
    return [*found, *facts.remarks]


def advice(facts: Facts, focal_source: str, manifests: Manifests, history: Mapping[str, Any]) -> list[str]:
    """What a person could do for a better avatar, and what to know before trusting this one."""
    found = filming(facts)
    unseen = facts.frames - facts.frames_seen
    if unseen:
        found.append(
            f"The person was not found in {unseen} of {facts.frames} frames; "
            "their motion is interpolated there."
        )
    detected = manifests["detect"]["summary"]
    if (others := len(detected.get("people", [])) - 1) > 0:
        found.append(
            f"Person {detected['chosen']} was followed; {others} more "
            f"{'was' if others == 1 else 'were'} found. --person takes another one."
        )
    if facts.avatar_iou is not None and facts.avatar_iou < _POOR_OVERLAP:
        found.append(
            f"The avatar's outline agrees poorly with the person's (overlap {facts.avatar_iou:.2f}; good "
            "ones reach 0.9). Look at the outlines below: where the start is wrong already, poses of another "
            "estimator may help (--poses)."
        )
    return list(dict.fromkeys(found + _guesses(focal_source, manifests, history)))


def _guesses(focal_source: str, manifests: Manifests, history: Mapping[str, Any]) -> list[str]:
    """What was not known, and what the stages warn of."""
    found = []
    if focal_source == "guess":
        found.append(
            "The camera's focal length was guessed, so distances may be off by a tenth or more. "
            "Give it in pixels with --focal where you know it."
        )
    if history.get("size_from") == "population prior":
        found.append(
            f"The height of {history['height']:.2f} m is a guess: one camera cannot tell a small near "
            "person from a tall far one, and all distances depend on it. Give it with --height."
        )
    without_depth = manifests["depth"]["engine"] == "none"
    if without_depth:
        found.append(
            "No depth estimate was used: how far limbs reach towards or away from the camera is the least "
            "certain part of the motion."
        )
    for name, manifest in manifests.items():
        told = name == "detect" or (name == "depth" and without_depth)  # above
        if not told:
            found += [_sentence(str(one)) for one in manifest["summary"].get("warnings", [])]
    return found + [_sentence(str(one)) for one in history.get("warnings", [])]


def _grade(overlap: float) -> str:
    if overlap >= _GOOD_OVERLAP:
        return "well"
    return "fairly well" if overlap >= _POOR_OVERLAP else "poorly"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."
