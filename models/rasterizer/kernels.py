# mypy: allow-untyped-defs
"""The embedded engine's compiled loops. `embedded.py` allocates what they fill and calls them in their order.

A frame: `project` every Gaussian to a "splat" on the picture, `sort_by_depth`, `bin_splats` into tiles,
`rasterize` the tiles. Its gradient: `bin_splats` again, `rasterize_backward` the tiles into one slot for
every pair of splat and tile, `sum_slots` of every splat in the order they lie, `project_backward`. Loops
that several threads share write to places of their own: results do not depend on the number of threads.

The definition is that of `models.rasterizer`. While a tile is drawn, its pixels' state is kept in planes of
`Lanes`, one for every block of 8 x 2 pixels.
"""

import math

import numpy as np

from models.rasterizer.compiling import compiled
from models.rasterizer.lanes import (
    BLOCK_COLUMNS,
    BLOCK_ROWS,
    WIDTH,
    any_lane,
    exp2,
    lane_columns,
    lane_rows,
    load,
    spread,
    store,
    total,
    where,
)

NEAR, FAR = 0.01, 1e10
BLUR = 0.3  # added to both variances on the image, pixels^2 (gsplat's eps2d)
MIN_ALPHA, MAX_ALPHA = 1 / 255, 0.999
MIN_TRANSMITTANCE = 1e-4

TILE = 32  # pixels
BLOCKS_PER_TILE = TILE // BLOCK_COLUMNS  # across
BLOCKS = TILE * TILE // WIDTH

# Columns of `splats` (float32), one row a Gaussian. Within REACH of MEAN, in pixels,
# alpha = 2^(LOG_OPACITY + FORM_XX dx^2 + FORM_XY dx dy + FORM_YY dy^2), where (dx, dy) = pixel - mean.
MEAN_X, MEAN_Y, FORM_XX, FORM_XY, FORM_YY, LOG_OPACITY, RED, GREEN, BLUE, DEPTH, REACH_X, REACH_Y = range(12)
SPLAT_FIELDS = 12
# Columns of `slots` (float32), sums over a tile's pixels: alpha dL/dalpha times 1, dx, dy, dx^2, dx dy, dy^2;
# dL/dcolour and dL/dz.
SUM, SUM_X, SUM_Y, SUM_XX, SUM_XY, SUM_YY, SLOT_RED, SLOT_GREEN, SLOT_BLUE, SLOT_DEPTH = range(10)
SLOT_FIELDS = 10

_LOG2E = 1 / math.log(2)


@compiled
def _camera_rays(means, camera, width, height, i):
    """x/z and y/z of a mean, and both clamped to the field of view widened by 15 % of its size."""
    fx, fy, cx, cy = camera
    z = np.float64(means[i, 2])
    u, v = means[i, 0] / z, means[i, 1] / z
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    clamped_u = min((width - cx) / fx + margin_x, max(-(cx / fx + margin_x), u))
    clamped_v = min((height - cy) / fy + margin_y, max(-(cy / fy + margin_y), v))
    return u, v, clamped_u, clamped_v


@compiled
def _image_covariance(covariance, j00, j02, j11, j12):
    """J C J^T + blur for J = [[j00, 0, j02], [0, j11, j12]] and the symmetric part of C."""
    c01 = 0.5 * (covariance[0, 1] + covariance[1, 0])
    c02 = 0.5 * (covariance[0, 2] + covariance[2, 0])
    c12 = 0.5 * (covariance[1, 2] + covariance[2, 1])
    c22 = covariance[2, 2]
    xx = j00 * j00 * covariance[0, 0] + 2 * j00 * j02 * c02 + j02 * j02 * c22 + BLUR
    yy = j11 * j11 * covariance[1, 1] + 2 * j11 * j12 * c12 + j12 * j12 * c22 + BLUR
    xy = j00 * j11 * c01 + j00 * j12 * c02 + j02 * j11 * c12 + j02 * j12 * c22
    return xx, xy, yy


@compiled
def _tiles_between(low, high, tiles):
    """The first tile and the one after the last between two pixels; clamped as floats, which may be huge."""
    first, end = min(max(0.0, low / TILE), float(tiles)), min(max(0.0, high / TILE), float(tiles))
    return math.floor(first), math.ceil(end)


@compiled
def project(first, last, means, covariances, colors, opacities, camera, width, height, splats, rects):
    """Fill `splats[first:last]` and `rects`, each one's tiles: left, top, right, bottom (exclusive).

    A Gaussian that cannot be seen, or is not finite, touches none, and its splat is not written.
    """
    fx, fy, cx, cy = camera
    tiles_x, tiles_y = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for i in range(first, last):
        row, rect = splats[i], rects[i]
        rect[:] = 0
        z, opacity = np.float64(means[i, 2]), np.float64(opacities[i])
        color_sum = colors[i, 0] + colors[i, 1] + colors[i, 2]
        if not (NEAR <= z <= FAR and opacity >= MIN_ALPHA and math.isfinite(opacity + color_sum)):
            continue
        u, v, clamped_u, clamped_v = _camera_rays(means, camera, width, height, i)
        j00, j02, j11, j12 = fx / z, -fx * clamped_u / z, fy / z, -fy * clamped_v / z
        xx, xy, yy = _image_covariance(covariances[i], j00, j02, j11, j12)
        determinant = xx * yy - xy * xy
        if not (xx > 0 and yy > 0 and determinant > 0 and math.isfinite(determinant)):
            continue
        # Beyond this many standard deviations alpha is below MIN_ALPHA (arXiv 2402.00525, B.2).
        extent = math.sqrt(2 * math.log(opacity / MIN_ALPHA))
        x, y = fx * u + cx, fy * v + cy
        reach_x, reach_y = extent * math.sqrt(xx), extent * math.sqrt(yy)
        if not (x + reach_x > 0 and x - reach_x < width and y + reach_y > 0 and y - reach_y < height):
            continue
        row[MEAN_X], row[MEAN_Y] = x, y
        row[FORM_XX] = -0.5 * _LOG2E * yy / determinant
        row[FORM_XY] = _LOG2E * xy / determinant
        row[FORM_YY] = -0.5 * _LOG2E * xx / determinant
        row[LOG_OPACITY] = math.log2(opacity)
        row[RED], row[GREEN], row[BLUE], row[DEPTH] = colors[i, 0], colors[i, 1], colors[i, 2], z
        row[REACH_X], row[REACH_Y] = reach_x, reach_y
        rect[0], rect[2] = _tiles_between(x - reach_x, x + reach_x, tiles_x)
        rect[1], rect[3] = _tiles_between(y - reach_y, y + reach_y, tiles_y)


@compiled
def sort_by_depth(rects, depth_bits, order):
    """Put the visible Gaussians' numbers into `order`, nearest first, ties as given; return how many.

    A radix sort: the bits of positive floats sort as their values do.
    """
    count = 0
    for i in range(len(rects)):
        if rects[i, 0] < rects[i, 2] and rects[i, 1] < rects[i, 3]:
            order[count] = i
            count += 1
    other = np.empty(count, np.int32)
    for shift in (0, 11, 22):
        ends = np.zeros(2048, np.int64)
        for k in range(count):
            ends[(depth_bits[order[k]] >> shift) & 2047] += 1
        position = 0
        for digit in range(2048):
            ends[digit], position = position, position + ends[digit]
        for k in range(count):
            digit = (depth_bits[order[k]] >> shift) & 2047
            other[ends[digit]] = order[k]
            ends[digit] += 1
        order[:count] = other
    return count


@compiled
def count_per_tile_row(rects, counts):
    """Add to `counts` (tile rows,) how many pairs of splat and tile each row of tiles has."""
    for i in range(len(rects)):
        for row in range(rects[i, 1], rects[i, 3]):
            counts[row] += rects[i, 2] - rects[i, 0]


@compiled
def bin_splats(order, rects, top, bottom, tiles_x, tile_starts, tile_splats, slot_starts):
    """List the splats of every tile in the tile rows [top, bottom), front to back.

    `tile_splats[tile_starts[t] : tile_starts[t + 1]]` are those of tile t; `slot_starts[i]` is the first slot
    of splat i, which has one for each of its tiles in the band, row by row.
    """
    tile_starts[:] = 0
    slot = 0
    for i in range(len(rects)):
        slot_starts[i] = slot
        for row in range(max(top, rects[i, 1]), min(bottom, rects[i, 3])):
            for column in range(rects[i, 0], rects[i, 2]):
                tile_starts[(row - top) * tiles_x + column + 1] += 1
            slot += rects[i, 2] - rects[i, 0]
    slot_starts[len(rects)] = slot
    for tile in range(1, len(tile_starts)):
        tile_starts[tile] += tile_starts[tile - 1]
    ends = tile_starts.copy()
    for i in order:
        for row in range(max(top, rects[i, 1]), min(bottom, rects[i, 3])):
            for column in range(rects[i, 0], rects[i, 2]):
                tile = (row - top) * tiles_x + column
                tile_splats[ends[tile]] = i
                ends[tile] += 1


@compiled
def _aligned(count):
    """float32 memory that starts with a cache line: Lanes across two lines cost twice."""
    memory = np.empty(count + WIDTH, np.float32)
    start = -(memory.ctypes.data // 4) % WIDTH
    return memory[start : start + count]


@compiled
def _blocks_under(splat, left, top):
    """The blocks of the tile at pixel (left, top) that the splat's box touches: ranges across and down."""
    x, y = splat[MEAN_X] - left, splat[MEAN_Y] - top
    x0 = max(np.float32(0), x - splat[REACH_X])
    y0 = max(np.float32(0), y - splat[REACH_Y])
    x1 = min(np.float32(TILE - 1), x + splat[REACH_X])
    y1 = min(np.float32(TILE - 1), y + splat[REACH_Y])
    left_block, right_block = int(x0) // BLOCK_COLUMNS, int(x1) // BLOCK_COLUMNS + 1
    return left_block, right_block, int(y0) // BLOCK_ROWS, int(y1) // BLOCK_ROWS + 1


@compiled
def _alpha(splat, dx, dy):
    """Opacity times the Gaussian at offsets (dx, dy) from its mean, not yet capped; 0 below MIN_ALPHA."""
    exponent = (splat[FORM_XX] * dx + splat[FORM_XY] * dy) * dx
    exponent = exponent + (splat[FORM_YY] * dy * dy + splat[LOG_OPACITY])
    value = exp2(where(exponent > np.float32(-9), exponent, np.float32(-9)))
    return where(value >= np.float32(MIN_ALPHA), value, np.float32(0))


@compiled
def _absorb(transmittance, alpha):
    """A splat's weight in each pixel and the transmittance after it.

    A pixel is finished by the splat that would take it to MIN_TRANSMITTANCE, which does not count any more;
    from then on its transmittance is kept negated.
    """
    weight = alpha * transmittance
    after = transmittance - weight
    goes_on = after > np.float32(MIN_TRANSMITTANCE)
    stopped = where(transmittance > np.float32(0), -np.float32(1) * transmittance, transmittance)
    return where(goes_on, weight, np.float32(0)), where(goes_on, after, stopped)


@compiled
def _finished(planes, plane_count):
    """Whether no pixel of the tile lets any more light through; plane 0 is the transmittance."""
    nearest = load(planes, 0)
    for block in range(1, BLOCKS):
        other = load(planes, block * plane_count * WIDTH)
        nearest = where(other > nearest, other, nearest)
    return not any_lane(nearest > np.float32(0))


@compiled
def _plane_index(x, y, plane_count):
    """Where the pixel (x, y) of a tile is in plane 0."""
    block = y // BLOCK_ROWS * BLOCKS_PER_TILE + x // BLOCK_COLUMNS
    return block * plane_count * WIDTH + y % BLOCK_ROWS * BLOCK_COLUMNS + x % BLOCK_COLUMNS


@compiled
def _write_pixels(tile_left, tile_top, width, height, planes, pictures):
    """The pictures' part of a tile, from its planes."""
    color, alpha, depth = pictures
    for y in range(tile_top, min(tile_top + TILE, height)):
        for x in range(tile_left, min(tile_left + TILE, width)):
            at = _plane_index(x - tile_left, y - tile_top, 5)
            opaque = np.float32(1) - abs(planes[at])
            alpha[y, x] = opaque
            color[y, x, 0] = planes[at + WIDTH]
            color[y, x, 1] = planes[at + 2 * WIDTH]
            color[y, x, 2] = planes[at + 3 * WIDTH]
            depth[y, x] = planes[at + 4 * WIDTH] / opaque if opaque > 0 else np.float32(0)


@compiled
def rasterize(first, last, top, width, height, tile_starts, tile_splats, splats, pictures):
    """Draw the tiles [first, last) of the band whose first pixel row is `top` into the pictures."""
    columns, rows = lane_columns(), lane_rows()
    tiles_x = (width + TILE - 1) // TILE
    planes = _aligned(BLOCKS * 5 * WIDTH)  # per block: transmittance, red, green, blue, depth
    for tile in range(first, last):
        if tile_starts[tile] == tile_starts[tile + 1]:
            continue
        left_pixel, top_pixel = tile % tiles_x * TILE, top + tile // tiles_x * TILE
        for block in range(BLOCKS):
            store(planes, block * 5 * WIDTH, spread(np.float32(1)))
            for plane in range(1, 5):
                store(planes, (block * 5 + plane) * WIDTH, spread(np.float32(0)))
        for entry in range(tile_starts[tile], tile_starts[tile + 1]):
            if (entry - tile_starts[tile]) % 32 == 31 and _finished(planes, 5):
                break
            splat = splats[tile_splats[entry]]
            block_left, block_right, block_top, block_bottom = _blocks_under(splat, left_pixel, top_pixel)
            for block_x in range(block_left, block_right):
                dx = columns + (np.float32(left_pixel + block_x * BLOCK_COLUMNS + 0.5) - splat[MEAN_X])
                dy = rows + (np.float32(top_pixel + block_top * BLOCK_ROWS + 0.5) - splat[MEAN_Y])
                for block_y in range(block_top, block_bottom):
                    at = (block_y * BLOCKS_PER_TILE + block_x) * 5 * WIDTH
                    value = _alpha(splat, dx, dy)
                    value = where(value > np.float32(MAX_ALPHA), np.float32(MAX_ALPHA), value)
                    weight, after = _absorb(load(planes, at), value)
                    store(planes, at, after)
                    store(planes, at + WIDTH, load(planes, at + WIDTH) + weight * splat[RED])
                    store(planes, at + 2 * WIDTH, load(planes, at + 2 * WIDTH) + weight * splat[GREEN])
                    store(planes, at + 3 * WIDTH, load(planes, at + 3 * WIDTH) + weight * splat[BLUE])
                    store(planes, at + 4 * WIDTH, load(planes, at + 4 * WIDTH) + weight * splat[DEPTH])
                    dy += np.float32(BLOCK_ROWS)
        _write_pixels(left_pixel, top_pixel, width, height, planes, pictures)


@compiled
def _load_upstream(tile_left, tile_top, width, height, pictures, upstream, planes):
    """Fill a tile's planes: transmittance, the loss behind, dL/d of red, green, blue, summed depth and alpha.

    To first order the loss is linear in the splats' weights, sum_i w_i q_i; "behind" is that sum over the
    splats not yet passed, at first over all. With depth = D / A and D = sum(w z), dL/dD = dL/ddepth / A, and
    A gets -dL/ddepth depth / A besides its own.
    """
    color, alpha, depth = pictures
    d_color, d_alpha, d_depth = upstream
    planes[:] = 0.0
    for y in range(tile_top, min(tile_top + TILE, height)):
        for x in range(tile_left, min(tile_left + TILE, width)):
            at = _plane_index(x - tile_left, y - tile_top, 7)
            opaque = alpha[y, x]
            by_depth_sum = d_depth[y, x] / opaque if opaque > 0 else np.float32(0)
            by_alpha = d_alpha[y, x] - by_depth_sum * depth[y, x]
            planes[at] = 1.0
            planes[at + WIDTH] = (
                color[y, x, 0] * d_color[y, x, 0]
                + color[y, x, 1] * d_color[y, x, 1]
                + color[y, x, 2] * d_color[y, x, 2]
                + opaque * d_alpha[y, x]
            )  # depth's two parts cancel: it does not change when all weights grow alike
            planes[at + 2 * WIDTH] = d_color[y, x, 0]
            planes[at + 3 * WIDTH] = d_color[y, x, 1]
            planes[at + 4 * WIDTH] = d_color[y, x, 2]
            planes[at + 5 * WIDTH] = by_depth_sum
            planes[at + 6 * WIDTH] = by_alpha


@compiled
def rasterize_backward(
    first, last, top, width, height,
    tile_starts, tile_splats, splats, rects, slot_starts, pictures, upstream, slots,
):  # fmt: skip
    """The gradient of `rasterize` for the tiles [first, last), into the slots of their splats."""
    columns, rows = lane_columns(), lane_rows()
    tiles_x = (width + TILE - 1) // TILE
    top_row = top // TILE
    planes = _aligned(BLOCKS * 7 * WIDTH)
    for tile in range(first, last):
        if tile_starts[tile] == tile_starts[tile + 1]:
            continue
        tile_row, tile_column = top_row + tile // tiles_x, tile % tiles_x
        left_pixel, top_pixel = tile_column * TILE, tile_row * TILE
        _load_upstream(left_pixel, top_pixel, width, height, pictures, upstream, planes)
        finished = False
        for entry in range(tile_starts[tile], tile_starts[tile + 1]):
            number = tile_splats[entry]
            left, right = rects[number, 0], rects[number, 2]
            slot = slots[
                slot_starts[number]
                + (tile_row - max(top_row, rects[number, 1])) * (right - left)
                + tile_column
                - left
            ]
            if (entry - tile_starts[tile]) % 32 == 31 and not finished:
                finished = _finished(planes, 7)
            if finished:
                slot[:] = 0.0
                continue
            splat = splats[number]
            block_left, block_right, block_top, block_bottom = _blocks_under(splat, left_pixel, top_pixel)
            zero = spread(np.float32(0))
            sum_1, sum_x, sum_y, sum_xx, sum_xy, sum_yy = zero, zero, zero, zero, zero, zero
            sum_red, sum_green, sum_blue, sum_depth = zero, zero, zero, zero
            for block_x in range(block_left, block_right):
                dx = columns + (np.float32(left_pixel + block_x * BLOCK_COLUMNS + 0.5) - splat[MEAN_X])
                dy = rows + (np.float32(top_pixel + block_top * BLOCK_ROWS + 0.5) - splat[MEAN_Y])
                column_1, column_y, column_yy = zero, zero, zero
                for block_y in range(block_top, block_bottom):
                    at = (block_y * BLOCKS_PER_TILE + block_x) * 7 * WIDTH
                    value = _alpha(splat, dx, dy)
                    capped = where(value > np.float32(MAX_ALPHA), np.float32(MAX_ALPHA), value)
                    weight, after = _absorb(load(planes, at), capped)
                    by_red, by_green = load(planes, at + 2 * WIDTH), load(planes, at + 3 * WIDTH)
                    by_blue, by_depth = load(planes, at + 4 * WIDTH), load(planes, at + 5 * WIDTH)
                    by_weight = (
                        by_red * splat[RED]
                        + by_green * splat[GREEN]
                        + by_blue * splat[BLUE]
                        + by_depth * splat[DEPTH]
                        + load(planes, at + 6 * WIDTH)
                    )
                    behind = load(planes, at + WIDTH) - weight * by_weight
                    store(planes, at, after)
                    store(planes, at + WIDTH, behind)
                    # alpha dL/dalpha = w q - behind alpha / (1 - alpha), if alpha counts and is not capped
                    slope = weight * by_weight - behind * capped / (np.float32(1) - capped)
                    counts = where(value > np.float32(MAX_ALPHA), np.float32(0), weight) > np.float32(0)
                    slope = where(counts, slope, np.float32(0))
                    sum_red += weight * by_red
                    sum_green += weight * by_green
                    sum_blue += weight * by_blue
                    sum_depth += weight * by_depth
                    slope_y = slope * dy
                    column_1 += slope
                    column_y += slope_y
                    column_yy += slope_y * dy
                    dy += np.float32(BLOCK_ROWS)
                column_x = column_1 * dx
                sum_1 += column_1
                sum_x += column_x
                sum_y += column_y
                sum_xx += column_x * dx
                sum_xy += column_y * dx
                sum_yy += column_yy
            slot[SUM], slot[SUM_X], slot[SUM_Y] = total(sum_1), total(sum_x), total(sum_y)
            slot[SUM_XX], slot[SUM_XY], slot[SUM_YY] = total(sum_xx), total(sum_xy), total(sum_yy)
            slot[SLOT_RED], slot[SLOT_GREEN] = total(sum_red), total(sum_green)
            slot[SLOT_BLUE], slot[SLOT_DEPTH] = total(sum_blue), total(sum_depth)


@compiled
def sum_slots(first, last, slot_starts, slots, sums):
    """Add the slots of the splats [first, last) to `sums` (N, SLOT_FIELDS), in the order they lie."""
    for i in range(first, last):
        for slot in range(slot_starts[i], slot_starts[i + 1]):
            for field in range(SLOT_FIELDS):
                sums[i, field] += slots[slot, field]


@compiled
def project_backward(
    first, last, rects, sums, means, covariances, opacities, camera, width, height, gradients
):
    """The gradient of `project` for the Gaussians [first, last); 0 for one that touches no tile."""
    d_means, d_covariances, d_colors, d_opacities = gradients
    fx, fy, _, _ = camera
    for i in range(first, last):
        s = sums[i]
        if rects[i, 0] >= rects[i, 2] or rects[i, 1] >= rects[i, 3]:
            d_means[i], d_covariances[i], d_colors[i], d_opacities[i] = 0.0, 0.0, 0.0, 0.0
            continue
        d_colors[i, 0], d_colors[i, 1], d_colors[i, 2] = s[SLOT_RED], s[SLOT_GREEN], s[SLOT_BLUE]
        d_opacities[i] = s[SUM] / opacities[i]

        z = np.float64(means[i, 2])
        u, v, clamped_u, clamped_v = _camera_rays(means, camera, width, height, i)
        j00, j02, j11, j12 = fx / z, -fx * clamped_u / z, fy / z, -fy * clamped_v / z
        xx, xy, yy = _image_covariance(covariances[i], j00, j02, j11, j12)
        determinant = xx * yy - xy * xy
        qxx, qxy, qyy = yy / determinant, -xy / determinant, xx / determinant  # the conic, Q
        d_x, d_y = qxx * s[SUM_X] + qxy * s[SUM_Y], qxy * s[SUM_X] + qyy * s[SUM_Y]
        # dL/d(image covariance) = Q M Q / 2, M the second moments of the slopes
        axx, axy = qxx * s[SUM_XX] + qxy * s[SUM_XY], qxx * s[SUM_XY] + qxy * s[SUM_YY]
        ayx, ayy = qxy * s[SUM_XX] + qyy * s[SUM_XY], qxy * s[SUM_XY] + qyy * s[SUM_YY]
        vxx, vyy = 0.5 * (axx * qxx + axy * qxy), 0.5 * (ayx * qxy + ayy * qyy)
        vxy = 0.5 * (axx * qxy + axy * qyy)

        # dL/dC = J^T V J
        g02, g12 = j00 * (vxx * j02 + vxy * j12), j11 * (vxy * j02 + vyy * j12)
        d_covariances[i, 0, 0] = j00 * j00 * vxx
        d_covariances[i, 1, 1] = j11 * j11 * vyy
        d_covariances[i, 0, 1] = d_covariances[i, 1, 0] = j00 * j11 * vxy
        d_covariances[i, 0, 2] = d_covariances[i, 2, 0] = g02
        d_covariances[i, 1, 2] = d_covariances[i, 2, 1] = g12
        d_covariances[i, 2, 2] = j02 * (vxx * j02 + vxy * j12) + j12 * (vxy * j02 + vyy * j12)

        # dL/dJ = 2 V J C; only four entries of J vary
        c = covariances[i]
        c01, c02, c12 = 0.5 * (c[0, 1] + c[1, 0]), 0.5 * (c[0, 2] + c[2, 0]), 0.5 * (c[1, 2] + c[2, 1])
        p00, p02 = j00 * c[0, 0] + j02 * c02, j00 * c02 + j02 * c[2, 2]  # J C
        p01, p10 = j00 * c01 + j02 * c12, j11 * c01 + j12 * c02
        p11, p12 = j11 * c[1, 1] + j12 * c12, j11 * c12 + j12 * c[2, 2]
        d_j00, d_j02 = 2 * (vxx * p00 + vxy * p10), 2 * (vxx * p02 + vxy * p12)
        d_j11, d_j12 = 2 * (vxy * p01 + vyy * p11), 2 * (vxy * p02 + vyy * p12)

        # j00 = fx / z, j02 = -fx clamped(x / z) / z; the clamp stops the way through x / z
        d_u = fx * d_x + (-fx / z * d_j02 if u == clamped_u else 0.0)
        d_v = fy * d_y + (-fy / z * d_j12 if v == clamped_v else 0.0)
        d_means[i, 0], d_means[i, 1] = d_u / z, d_v / z
        d_means[i, 2] = (
            s[SLOT_DEPTH] - (u * d_u + v * d_v + j00 * d_j00 + j02 * d_j02 + j11 * d_j11 + j12 * d_j12) / z
        )
