"""Fits the polynomials of shaders/lib/real_math.glsl. Maintainers only; needs numpy and mpmath.

    python tools/fit_polynomials.py

Each is the polynomial of its degree with (nearly) the least largest weighted error on its interval, by Lawson's
iteration; coefficients are printed from the lowest power on, rounded to float32, with the error that is left.
"""

import mpmath
import numpy as np

mpmath.mp.dps = 40


def fit(name, f, weight, low, high, degree, points=2000, rounds=200):
    x = (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(points) + 0.5) / points)
    y = np.array([float(f(mpmath.mpf(v))) for v in x])
    w = np.array([float(weight(mpmath.mpf(v))) for v in x])
    scale = max(abs(low), abs(high))
    powers = np.vander(x / scale, degree + 1, increasing=True)
    lawson = np.full(points, 1.0 / points)
    best = None
    for _ in range(rounds):
        root = np.sqrt(lawson)[:, None]
        coefficients = np.linalg.lstsq(powers * w[:, None] * root, y * w * root[:, 0], rcond=None)[0]
        error = np.abs((powers @ coefficients - y) * w)
        if best is None or error.max() < best[0]:
            best = error.max(), coefficients
        lawson *= error
        lawson /= lawson.sum()
    rounded = np.float32(best[1] / scale ** np.arange(degree + 1))
    left = np.abs((np.vander(x, degree + 1, increasing=True) @ rounded.astype(np.float64) - y) * w).max()
    print(f"{name} on [{low:.6g}, {high:.6g}]: {left:.2e}")
    print("    " + ", ".join(f"{c:.9g}" for c in rounded))


one = lambda x: 1
half_ln2 = float(mpmath.log(2) / 2) * 1.001
quarter_pi = float(mpmath.pi / 4) * 1.001


def quotient(f, at_zero):
    return lambda x: at_zero if x == 0 else f(x)


fit("exp: (e^x - 1 - x) / x^2", quotient(lambda x: (mpmath.expm1(x) - x) / x**2, 0.5),
    lambda x: x**2, -half_ln2, half_ln2, 4)
fit("log: (ln(1 + x) - x + x^2/2) / x^3", quotient(lambda x: (mpmath.log1p(x) - x + x**2 / 2) / x**3, 1 / 3),
    lambda x: abs(x) ** 2 + 1e-9, float(mpmath.sqrt(0.5)) - 1, float(mpmath.sqrt(2)) - 1, 8)
# The rest are even or odd: polynomials of z = x^2.
root = mpmath.sqrt
fit("sin: (sin x - x) / x^3", quotient(lambda z: (mpmath.sin(root(z)) - root(z)) / root(z) ** 3, -1 / 6),
    lambda z: z, 1e-12, quarter_pi**2, 3)
fit("cos: (cos x - 1 + x^2/2) / x^4", quotient(lambda z: (mpmath.cos(root(z)) - 1 + z / 2) / z**2, 1 / 24),
    lambda z: z**2, 1e-12, quarter_pi**2, 2)
fit("atan: (atan x - x) / x^3", quotient(lambda z: (mpmath.atan(root(z)) - root(z)) / root(z) ** 3, -1 / 3),
    lambda z: z, 1e-12, float(mpmath.tan(mpmath.pi / 8)) ** 2 * 1.001, 4)
fit("tanh: (tanh x - x) / x^3", quotient(lambda z: (mpmath.tanh(root(z)) - root(z)) / root(z) ** 3, -1 / 3),
    lambda z: z, 1e-12, 0.625**2, 4)
fit("erf: erf x / x - 1", quotient(lambda z: mpmath.erf(root(z)) / root(z) - 1, 2 / mpmath.sqrt(mpmath.pi) - 1),
    one, 1e-12, 1.0, 6)
# erfc x = e^(-x^2) * p(t), t = 1 / (1 + x / 2): smooth down to the smallest floats.
for low, high, degree in ((1.0, 10.5, 9),):
    to_x = lambda t: 2 * (1 / t - 1)
    fit("erfc: e^(x^2) erfc x, of t = 1 / (1 + x/2)", lambda t: mpmath.exp(to_x(t) ** 2) * mpmath.erfc(to_x(t)),
        lambda t: 1 / (mpmath.exp(to_x(t) ** 2) * mpmath.erfc(to_x(t))), 1 / (1 + high / 2), 1 / (1 + low / 2), degree)
print("2 / pi in words of 32 bits:")
two_over_pi = mpmath.mpf(2) / mpmath.pi
words = []
with mpmath.workprec(400):
    rest = mpmath.mpf(2) / mpmath.pi
    for _ in range(8):
        rest *= 2**32
        words.append(int(mpmath.floor(rest)))
        rest -= words[-1]
print("    " + ", ".join(f"0x{w:08x}u" for w in words))
