"""How different colours look with normal vision and with colour blindness, and their contrast."""

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

Colors = NDArray[np.float64]  # [..., 3]

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1.
VISION: dict[str, Colors] = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
CAT02 = np.array([[0.7328, 0.4296, -0.1624], [-0.7036, 1.6975, 0.0061], [0.0030, 0.0136, 0.9834]])
HUNT_POINTER_ESTEVEZ = np.array([[0.38971, 0.68898, -0.07868], [-0.22981, 1.18340, 0.04641], [0, 0, 1]])
# Of sRGB: D65, 64 lux with a grey surround, a background of 20 %, average surround (c = 0.69, Nc = F = 1).
BACKGROUND, ADAPTING = 0.2, 64 / np.pi / 5
LEVEL = 1 / (5 * ADAPTING + 1)
ADAPTATION = 1 - np.exp((-ADAPTING - 42) / 92) / 3.6
LUMINANCE_ADAPTATION = 0.2 * LEVEL**4 * 5 * ADAPTING + 0.1 * (1 - LEVEL**4) ** 2 * (5 * ADAPTING) ** (1 / 3)
INDUCTION = 0.725 * BACKGROUND**-0.2
WHITE = 100 * XYZ.sum(axis=1)


def linear(color: str) -> Colors:
    """Return the linear red, green and blue of a colour, each 0 to 1."""
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2)."""
    dark, light = sorted(float(XYZ[1] @ linear(color)) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def difference(one: str, other: str, vision: str) -> float:
    """Return the distance of two colours in CAM02-UCS (Luo, Cui and Li, 2006)."""
    return float(np.linalg.norm(cam02_ucs(one, vision) - cam02_ucs(other, vision)))


def cam02_ucs(color: str, vision: str = "normal") -> Colors:
    """Return the lightness J' and the colour coordinates a' and b' of a colour, from CIECAM02."""
    seen = np.clip(VISION[vision] @ linear(color), 0, 1)
    red, green, blue = _cones(100 * XYZ @ seen)
    a, b = red - 12 * green / 11 + blue / 11, (red + green - 2 * blue) / 9
    hue = np.arctan2(b, a)
    lightness = 100 * (_achromatic(100 * XYZ @ seen) / _achromatic(WHITE)) ** (0.69 * (1.48 + np.sqrt(BACKGROUND)))
    eccentricity = 50000 / 13 * INDUCTION * (np.cos(hue + 2) + 3.8) / 4
    t = eccentricity * np.hypot(a, b) / (red + green + 21 * blue / 20)
    chroma = t**0.9 * np.sqrt(lightness / 100) * (1.64 - 0.29**BACKGROUND) ** 0.73
    colorfulness = np.log1p(0.0228 * chroma * LUMINANCE_ADAPTATION**0.25) / 0.0228
    return np.array([1.7 * lightness / (1 + 0.007 * lightness), colorfulness * np.cos(hue), colorfulness * np.sin(hue)])


def _cones(xyz: Colors) -> Colors:
    """Return the responses of the cones after adaptation to white."""
    adapted = CAT02 @ xyz * (ADAPTATION * 100 / (CAT02 @ WHITE) + 1 - ADAPTATION)
    signal = HUNT_POINTER_ESTEVEZ @ np.linalg.solve(CAT02, adapted)
    power = (LUMINANCE_ADAPTATION * np.abs(signal) / 100) ** 0.42
    return np.asarray(np.sign(signal) * 400 * power / (power + 27.13) + 0.1)


def _achromatic(xyz: Colors) -> float:
    red, green, blue = _cones(xyz)
    return float((2 * red + green + blue / 20 - 0.305) * INDUCTION)
