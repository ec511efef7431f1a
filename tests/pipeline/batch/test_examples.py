"""The examples of docs/cluster.md do what it says of them."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.batch.scheduling import remote_scheduler
from tests.pipeline.batch.luigid import Luigid
from tests.pipeline.conftest import ROOT


def block(after: str) -> str:
    """The first block of code behind a text of the page."""
    page = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    found = re.search(r"^```\n(.*?)^```$", page[page.index(after) :], re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.mark.timeout(1800)  # a busy machine is slow, not wrong
def test_luigid_takes_its_configuration(tmp_path: Path) -> None:
    pytest.importorskip("tornado")
    luigid = Luigid(tmp_path, block("`/etc/luigi/luigi.cfg`"))
    luigid.start()
    try:
        [gpus] = remote_scheduler(luigid.address).resource_list()
        assert (gpus["name"], gpus["num_total"]) == ("gpu", 8)
    finally:
        luigid.stop()


def test_a_failed_clip_starts_no_pod_again() -> None:
    job = yaml.safe_load(block("### Kubernetes"))["spec"]
    [container] = job["template"]["spec"]["containers"]
    [ended, moved] = job["podFailurePolicy"]["rules"]
    assert ended["action"] == "FailJob"
    assert ended["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [1]}
    assert moved == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # Kubernetes takes no policy without
