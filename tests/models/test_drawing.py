import numpy as np
import pytest

from models import drawing

K = np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])

# A cube of edge 1 from (0,0,0), counter-clockwise seen from outside in a right-handed frame.
CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


def test_projection_follows_the_pinhole_model() -> None:
    assert drawing.project(np.array([[0.0, 0, 2], [1, -0.5, 4]]), K) == pytest.approx(
        np.array([[50, 40], [75, 27.5]])
    )


def test_silhouette_of_a_cube_is_its_projection() -> None:
    cube = CUBE - [0.5, 0.5, 0] + [0, 0, 4]
    region = drawing.silhouette(cube, CUBE_FACES, K, 100, 80)
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    # The near face, at 4 m, spans 25 pixels around (50, 40).
    assert np.abs(np.array([columns[0], columns[-1], rows[0], rows[-1]]) - [38, 62, 28, 52]).max() <= 1
    assert region[40, 50] == 255
    assert (region > 0).sum() == pytest.approx(25**2, rel=0.1)


def test_silhouette_is_solid_where_parts_overlap() -> None:
    """Even-odd filling would punch holes where one part hides another."""
    near, far = CUBE - [0.5, 0.5, 0] + [0, 0, 4], CUBE - [0.5, 0.5, 0] + [0.3, 0, 6]
    both = drawing.silhouette(
        np.concatenate([near, far]), np.concatenate([CUBE_FACES, CUBE_FACES + 8]), K, 100, 80
    )
    alone = [drawing.silhouette(cube, CUBE_FACES, K, 100, 80) for cube in (near, far)]
    assert (both == np.maximum(*alone)).all()


@pytest.mark.parametrize("shift", [[0, 0, -10], [0, 0, -0.5], [1e9, 0, 3], [0, 0, 1e9]])
def test_silhouette_survives_bodies_out_of_view(shift: list[float]) -> None:
    region = drawing.silhouette(CUBE + shift, CUBE_FACES, K, 100, 80)
    assert region.shape == (80, 100)
    assert (region > 0).sum() < 80 * 100


def test_outline_colours_the_contour_and_tints_the_inside() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    region = np.zeros((40, 40), np.uint8)
    region[10:30, 10:30] = 255
    drawing.outline(image, region, (200, 100, 0), thickness=1, fill=0.5)
    assert image[10, 20] == pytest.approx([200, 100, 0], abs=20)  # antialiased
    assert tuple(image[20, 20]) == (100, 50, 0)
    assert not image[:5].any()


def test_label_writes_each_word_in_its_colour() -> None:
    image = np.full((60, 300, 3), 100, np.uint8)
    drawing.label(image, [("before", (255, 0, 0)), ("after", (0, 255, 0))])
    assert (image == (255, 0, 0)).all(axis=2).any()
    assert (image == (0, 255, 0)).all(axis=2).any()
    assert (image[40:] == 100).all()
    drawing.label(np.zeros((4, 4, 3), np.uint8), [("wider than the picture", (255, 255, 255))])


def test_panels_stand_in_a_row() -> None:
    left, right = np.zeros((10, 20, 3), np.uint8), np.full((10, 30, 3), 255, np.uint8)
    row = drawing.beside([left, right])
    assert row.shape == (10, 50, 3)
    assert row[:, 20:].all()
