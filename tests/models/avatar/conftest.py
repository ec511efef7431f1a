import pytest
import torch

from models.avatar import Avatar, Evidence
from models.body import BodyModel, load_embedded_body
from tests.models.avatar.scenes import filmed, true_avatar

torch.set_num_threads(1)  # as the stage does; sums over several threads differ in the last bits


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_embedded_body()


@pytest.fixture(scope="session")
def avatar(body: BodyModel) -> Avatar:
    return true_avatar(body)


@pytest.fixture(scope="session")
def evidence(body: BodyModel) -> Evidence:
    return filmed(body)
