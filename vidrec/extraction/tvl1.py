"""Dual TV-L1 optical flow, compiled (Zach, Pock and Bischof 2007; Sanchez et al. 2013).

The algorithm, its default parameters and its order of roundings are those of OpenCV's
`cv2.optflow.DualTVL1OpticalFlow`, so that the two agree to a code of the 8-bit images in nearly all
pixels; experiments/benchmarks/flow.py measures how nearly, and how much faster this one is. What
OpenCV does well already (resize, cubic remap, median) is left to it. Nearly all of the time goes
into the iterations, which here are two passes over strips that stay in the cache, instead of a
dozen passes over whole images.

A plane is a flat float32 array of h + 2 rows: the image between two rows of zeros. So the loops
need no borders: what lies left of a row is the last column of the row above, where the horizontal
dual variable is always 0, and what lies right of a row is masked out.
"""

import cv2
import numba
import numpy as np

from vidrec.extraction.tvl1_parameters import PARAMETERS, SMALLEST, TINY

_STRIP = 4096  # elements; ten arrays of so many fit the second-level cache
_TINY = np.float32(TINY)
_LARGE = np.float32(3e38)
_STEP = np.float32(PARAMETERS["tau"] / PARAMETERS["theta"])
_THETA = np.float32(PARAMETERS["theta"])
_REACH = np.float32(PARAMETERS["lambda"] * PARAMETERS["theta"])
_ONE, _HALF = np.float32(1), np.float32(0.5)
_NEXT, _NONE = np.uint64(1), np.uint64(0)


def _compiled(*flags):
    """A decorator: compile, and keep the machine code on the disk where a folder can be written."""

    def decorate(function):
        # No fast-math but for what is named: OpenCV's roundings decide at which iteration to stop.
        options = {"nogil": True, "error_model": "numpy", "fastmath": {"nnan", "ninf", *flags}}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache is writable
            return numba.njit(**options)(function)

    return decorate


class TVL1:
    """The flow from frame to frame; keeps its buffers, and a frame's pyramid for the next pair."""

    def __init__(self):
        self._levels, self._pyramid, self._frame = (), (), None

    def calc(self, previous, following, flow=None):
        """Flow from one frame to the next, by the interface of OpenCV's DenseOpticalFlow.

        Args:
            previous, following: uint8 (H, W), gray.
            flow: not used; OpenCV's engines take an array for the result there.

        Returns:
            float32 (H, W, 2), px: u (positive to the right), v (positive downwards).
        """
        first = self._pyramid if np.array_equal(previous, self._frame) else _pyramid(previous)
        second = _pyramid(following)
        self._frame, self._pyramid = following.copy(), second
        shapes = [image.shape for image in second]
        if [level.shape for level in self._levels] != shapes:
            self._levels = [_Level(shape) for shape in shapes]
        coarser = None
        for level, *images in reversed(list(zip(self._levels, first, second, strict=True))):
            level.start(coarser)
            level.solve(*images)
            coarser = level
        return np.dstack(coarser.flow)


class _Level:
    """One scale of the pyramid: its planes, and the solution of its variational problem."""

    def __init__(self, shape):
        h, w = self.shape = shape
        self._planes = np.zeros((10, (h + 2) * w), np.float32)
        images = [plane[w : (h + 1) * w].reshape(shape) for plane in self._planes]
        self.flow, self._duals, self._data = images[:2], images[2:6], images[6:]
        self._column, self._row = np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)
        self._maps, self._gradient = np.empty((2, 2, h, w), np.float32)
        self._warped = np.empty(shape, np.float32)
        self._scratch = np.empty(_STRIP, np.float32)
        self._inside = (np.arange(_STRIP + w) % w != w - 1).astype(np.float32)
        self._limit = np.float32(PARAMETERS["epsilon"] ** 2 * h * w)

    def start(self, coarser):
        """The solution of the coarser level, enlarged; zero for None."""
        for i, component in enumerate(self.flow):
            component[:] = 0
            if coarser is not None:
                cv2.resize(coarser.flow[i], self.shape[::-1], dst=component)
                component *= np.float32(1 / PARAMETERS["scale_step"])

    def solve(self, first, second):
        """Refines the flow; float32 (h, w) images, 0 to 255."""
        u, v = self.flow
        gx, gy, rho, norm = self._data
        for dual in self._duals:
            dual[:] = 0
        _gradients(second, *self._gradient)
        images, warped = (second, *self._gradient), (self._warped, gx, gy)
        for _ in range(PARAMETERS["warps"]):
            np.add(u, self._column, out=self._maps[0])
            np.add(v, self._row[:, None], out=self._maps[1])
            for image, result in zip(images, warped, strict=True):
                cv2.remap(image, *self._maps, cv2.INTER_CUBIC, dst=result)
            _data_term(first, self._warped, gx, gy, u, v, rho, norm)
            error = _LARGE
            for _ in range(PARAMETERS["outer"]):
                if not error > self._limit:
                    break
                for component in self.flow:
                    cv2.medianBlur(component, PARAMETERS["median"], dst=component)
                error = _iterate(
                    *self._planes,
                    self._scratch,
                    self._inside,
                    *self.shape,
                    self._limit,
                    PARAMETERS["inner"],
                )


def _pyramid(frame):
    levels = [frame.astype(np.float32)]
    while len(levels) < PARAMETERS["scales"]:
        step = PARAMETERS["scale_step"]
        smaller = cv2.resize(levels[-1], None, fx=step, fy=step)
        if min(smaller.shape) < SMALLEST:
            break
        levels.append(smaller)
    return levels


@_compiled()
def _gradients(image, dx, dy):
    """Central differences; at the border half of the one-sided ones."""
    h, w = image.shape
    for y in range(h):
        above, here, below = image[max(y - 1, 0)], image[y], image[min(y + 1, h - 1)]
        for x in range(1, w - 1):
            dx[y, x] = _HALF * (here[x + 1] - here[x - 1])
        dx[y, 0] = _HALF * (here[min(1, w - 1)] - here[0])
        dx[y, w - 1] = _HALF * (here[w - 1] - here[max(w - 2, 0)])
        for x in range(w):
            dy[y, x] = _HALF * (below[x] - above[x])


@_compiled()
def _data_term(first, warped, gx, gy, u, v, rho, norm):
    """Linearised brightness difference: rho + gx * u + gy * v; norm: squared gradient."""
    h, w = first.shape
    for y in range(h):
        for x in range(w):
            square = gx[y, x] * gx[y, x] + gy[y, x] * gy[y, x]
            norm[y, x] = max(square, _TINY)
        for x in range(w):
            rho[y, x] = warped[y, x] - gx[y, x] * u[y, x] - gy[y, x] * v[y, x] - first[y, x]


# The vectoriser proves at run time that arrays do not overlap, and gives up beyond some eight
# pairs of them: hence several short loops, each of which writes one array or two.


@_compiled()
def _threshold(d, u, v, gx, gy, rho, norm, start, count):
    """Along the gradient, how far the data term moves the flow."""
    for i in range(count):
        j = start + np.uint64(i)
        difference = rho[j] + (gx[j] * u[j] + gy[j] * v[j])
        d[np.uint64(i)] = max(-_REACH, min(_REACH, -difference / norm[j]))


@_compiled()
def _primal(u, d, g, p, q, start, count, w):
    """One component's step; returns the sum of squared changes."""
    error = np.float32(0)
    for i in range(count):
        j = start + np.uint64(i)
        old = u[j]
        divergence = (p[j] - p[j - _NEXT]) + (q[j] - q[j - w])
        new = (old + d[np.uint64(i)] * g[j]) + _THETA * divergence
        u[j] = new
        error = _add_square(error, new - old)
    return error


@_compiled("reassoc", "contract", "nsz")
def _add_square(total, x):
    """Its sums may be taken in any order, else the loop would not be vectorised."""
    return total + x * x


@_compiled()
def _dual(u, inside, column, p, q, start, count, down):
    """One component's dual variables; `down` is the way to the pixel below, 0 in the last row."""
    for i in range(count):
        j = start + np.uint64(i)
        dx = inside[column + np.uint64(i)] * (u[j + _NEXT] - u[j])
        dy = u[j + down] - u[j]
        x, y = np.float64(dx), np.float64(dy)  # as OpenCV's hypot, which rounds once
        length = _ONE + _STEP * np.float32(np.sqrt(x * x + y * y))
        p[j] = (p[j] + _STEP * dx) / length
        q[j] = (q[j] + _STEP * dy) / length


@_compiled()
def _iterate(u, v, p11, p12, p21, p22, gx, gy, rho, norm, d, inside, h, w, limit, inner):
    """Up to `inner` iterations, until the change is below the limit; returns the last change.

    Strip by strip, the dual variables following one row behind: those of a row need the new flow
    of the row below, and are needed, old, by it.
    """
    row = np.uint64(w)
    end = (h + 1) * w
    error = _LARGE
    for _ in range(inner):
        if not error > limit:
            break
        error = np.float32(0)
        at = w
        while at < end:
            count = min(_STRIP, end - at)
            start = np.uint64(at)
            _threshold(d, u, v, gx, gy, rho, norm, start, count)
            error += _primal(u, d, gx, p11, p12, start, count, row)
            error += _primal(v, d, gy, p21, p22, start, count, row)
            at += count
            behind = max(at - count - w, w)
            start, column, count = np.uint64(behind), np.uint64(behind % w), at - w - behind
            _dual(u, inside, column, p11, p12, start, count, row)
            _dual(v, inside, column, p21, p22, start, count, row)
        last = np.uint64(h * w)
        _dual(u, inside, _NONE, p11, p12, last, w, _NONE)
        _dual(v, inside, _NONE, p21, p22, last, w, _NONE)
    return error
