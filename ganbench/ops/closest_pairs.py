"""The k closest pairs among n points, exactly, without looking at all of them in full dimension.

Orthonormal coordinates never lengthen a distance, so the leading principal coordinates, with the length of what they
leave out as one coordinate more, bound every distance from below at a fraction of the cost. Leaves of a k-d tree on
those coordinates are compared nearest boxes first; pairs whose bound does not exceed the running k-th distance are
measured directly in float64; boxes farther apart than it end the search.

Shapes      N points, D dimensions, Q bounding coordinates, U distinct points.
"""

from __future__ import annotations

import hashlib
import itertools

import torch
from torch import Tensor

from ganbench.ops.neighbors import pair_squares
from ganbench.ops.pairwise import center_of, distance_error, product, slices

LEAF = 512  # most points in a leaf
COORDINATES = 48  # principal coordinates in the lower bound
MANY = 0.02  # share of a tile's pairs to be measured above which a bound from all coordinates is cheaper
BATCH = 4096  # candidates measured before the bound is tightened again


def first_equal(x: Tensor) -> Tensor:
    """For each row, the index of the first row equal to it: (N, D) -> (N,); exact duplicates share one."""
    seen: dict[bytes, int] = {}
    out: list[int] = []
    for rows in slices(len(x), 1024):
        block = (x[rows] + 0.0).cpu().numpy()  # adding zero makes -0.0 and 0.0 the same bytes
        digests = (hashlib.blake2b(row, digest_size=16).digest() for row in block)
        out += [seen.setdefault(digest, i) for i, digest in enumerate(digests, rows.start)]
    return torch.tensor(out, dtype=torch.long, device=x.device)


def closest_pairs(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k closest pairs i < j of rows (N, D): indices (k, 2) and distances (k,) in float64, nearest first.

    Exact duplicates are pairs at distance 0. Ties are ordered by index, also where they cut the list off. Fewer than
    k pairs come back only when there are fewer.
    """
    first = first_equal(x)
    distinct, inverse = first.unique(return_inverse=True)
    pairs, squares = _closest_distinct(x, distinct, k)
    if len(distinct) < len(x):
        pairs, squares = _with_duplicates(inverse, pairs, squares, k)
    else:
        pairs = distinct[pairs]
    return pairs, squares.sqrt()


def _closest_distinct(x: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Closest pairs among distinct rows: positions in `rows` (k, 2) and squared distances (k,)."""
    z = _bounding_coordinates(x, rows)  # (U, Q)
    full = _FullBound(x, rows)
    leaves = _leaves(z)
    order = torch.cat(leaves)
    z = z[order]
    norms = z.double().square().sum(1)
    error = float(2 * distance_error(norms.max(), norms.max(), z.shape[1], z.dtype)) if len(z) else 0.0
    one, norms = torch.ones_like(z[:, :1]), norms.to(z.dtype)[:, None]
    left, right = torch.cat([-2 * z, norms, one], 1), torch.cat([z, one, norms], 1)
    starts = [0, *itertools.accumulate(len(leaf) for leaf in leaves)]
    spans = [slice(a, b) for a, b in itertools.pairwise(starts)]
    pairs = torch.empty(0, 2, dtype=torch.long, device=x.device)
    squares = torch.empty(0, dtype=torch.float64, device=x.device)
    bound = torch.finfo(z.dtype).max  # finite, so that the masked half of a diagonal tile stays out
    for a, b, apart in _box_pairs(z, spans):
        if apart > bound:
            break
        i, j = spans[a], spans[b]
        lower = product(left[i], right[j])
        if a == b:
            lower += torch.full_like(lower, float("inf")).tril_()  # each pair once, no point with itself
        if float(lower.amin()) > bound + error:
            continue
        if int((lower <= bound + error).sum()) > MANY * lower.numel():  # these coordinates hardly tell pairs apart
            lower = torch.maximum(lower, full(order[i], order[j]))
        if len(squares) < k:  # any k pairs bound the k-th distance: those that look nearest leave few to sort
            smallest, flat = lower.flatten().topk(min(k, lower.numel()), largest=False)
            if len(smallest) == k and float(smallest[-1]) <= bound:
                ends = order[flat // lower.shape[1] + i.start], order[flat % lower.shape[1] + j.start]
                bound = min(bound, float(pair_squares(x, x, rows[ends[0]], rows[ends[1]]).max()))
        near = (lower <= bound + error).nonzero()
        values, ascending = lower[near[:, 0], near[:, 1]].sort()
        near = near[ascending]
        for part in slices(len(near), BATCH):
            if float(values[part.start]) > bound + error:
                break
            found = torch.stack([order[near[part, 0] + i.start], order[near[part, 1] + j.start]], 1)
            found = found.sort(1).values
            pairs = torch.cat([pairs, found])
            squares = torch.cat([squares, pair_squares(x, x, rows[found[:, 0]], rows[found[:, 1]])])
            pairs, squares = _first(pairs, squares, k)
            bound = float(squares[-1]) if len(squares) == k else bound
    return pairs, squares


class _FullBound:
    """A lower bound of squared distances from all coordinates, in single precision: their value less its rounding."""

    def __init__(self, x: Tensor, rows: Tensor) -> None:
        self.x, self.rows, self.center = x, rows, center_of(x)

    def __call__(self, i: Tensor, j: Tensor) -> Tensor:
        """Between rows at two sets of positions: (A,), (B,) -> (A, B)."""
        a, b = (self.x[self.rows[k]].sub(self.center).float() for k in (i, j))
        norms_a, norms_b = a.double().square().sum(1), b.double().square().sum(1)
        error = distance_error(norms_a.max(), norms_b.max(), a.shape[1], a.dtype)
        return product(a, b).mul_(-2).add_(norms_a.float()[:, None]).add_(norms_b.float()).sub_(float(2 * error))


def _bounding_coordinates(x: Tensor, rows: Tensor) -> Tensor:
    """Principal coordinates of x[rows] and the length of the rest: (U, Q) float32, no distance longer than in x."""
    center = center_of(x).double()
    sample = x[rows[torch.linspace(0, len(rows) - 1, min(len(rows), 1024), device=x.device).long()]].double() - center
    if x.shape[1] > len(sample):
        basis = sample.T @ torch.linalg.eigh(sample @ sample.T)[1]
    else:
        basis = torch.linalg.eigh(sample.T @ sample)[1]
    basis = torch.linalg.qr(basis[:, -COORDINATES:])[0]  # (D, Q)
    z = torch.empty(len(rows), basis.shape[1] + 1, device=x.device)
    for part in slices(len(rows), 1024):
        centred = x[rows[part]].double() - center
        inner = centred @ basis
        z[part, :-1] = inner
        z[part, -1] = (centred.square().sum(1) - inner.square().sum(1)).clamp(min=0).sqrt()
    return z


def _leaves(z: Tensor) -> list[Tensor]:
    """Indices of the leaves of a k-d tree that halves the coordinate of largest variance."""
    leaves, open_ = [], [torch.arange(len(z), device=z.device)]
    while open_:
        index = open_.pop()
        if len(index) <= LEAF:
            leaves.append(index)
            continue
        points = z[index]
        halves = index[points[:, points.var(0).argmax()].argsort()]
        open_ += [halves[len(halves) // 2 :], halves[: len(halves) // 2]]
    return leaves


def _box_pairs(z: Tensor, spans: list[slice]) -> list[tuple[int, int, float]]:
    """Pairs of leaves a <= b with the squared distance of their bounding boxes, nearest first, rounded downwards."""
    rounding = 1e-12 * float(z.abs().max()) ** 2 if len(z) else 0.0  # coordinates are float32
    low = torch.stack([z[s].amin(0) for s in spans]).double()
    high = torch.stack([z[s].amax(0) for s in spans]).double()
    out = []
    for a in range(len(spans)):
        gap = torch.maximum(low[a] - high[a:], low[a:] - high[a]).clamp(min=0)
        squares = gap.square().sum(1) * (1 - 1e-6) - rounding
        out += [(a, a + b, square) for b, square in enumerate(squares.tolist())]
    return sorted(out, key=lambda pair: (pair[2], pair[1] - pair[0]))


def _first(pairs: Tensor, squares: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest, ties in order of index."""
    if len(squares) > k:
        keep = squares <= squares.kthvalue(k).values
        pairs, squares = pairs[keep], squares[keep]
    order = pairs[:, 1].argsort(stable=True)
    order = order[pairs[order, 0].argsort(stable=True)]
    order = order[squares[order].argsort(stable=True)][:k]
    return pairs[order], squares[order]


def _with_duplicates(inverse: Tensor, pairs: Tensor, squares: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Pairs of distinct points unfolded to all their copies, the copies' own pairs added: still the k closest."""
    groups: dict[int, list[int]] = {}
    for i, group in enumerate(inverse.tolist()):
        members = groups.setdefault(group, [])
        if len(members) <= k:  # no more copies than k + 1 can appear in the first k pairs
            members.append(i)
    found: list[tuple[float, int, int]] = []
    for members in groups.values():
        found += [(0.0, i, j) for i, j in itertools.islice(itertools.combinations(members, 2), k)]
    for (a, b), square in zip(pairs.tolist(), squares.tolist(), strict=True):
        couples = sorted((min(i, j), max(i, j)) for i, j in itertools.product(groups[a], groups[b]))
        found += [(square, i, j) for i, j in couples[:k]]
    found = sorted(found)[:k]
    device = pairs.device
    return (
        torch.tensor([(i, j) for _, i, j in found], dtype=torch.long, device=device).view(-1, 2),
        torch.tensor([square for square, _, _ in found], dtype=torch.float64, device=device),
    )
