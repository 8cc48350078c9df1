"""Figures of networks and what they learn: `pip install 'chainrule[plots]'` brings matplotlib.

Each function draws into one `matplotlib.axes.Axes`: the `ax` it is given, or a new one of pyplot's,
in the look of `style`. It returns those axes. With an `ax` nothing but those axes is changed, and
fonts and lines are as `style`, or whatever else was in force when they were made, has set them.
Several pictures, such as the digits of a grid, lie side by side in the one pair of axes.

Blue is positive or right, vermilion negative or wrong; lines differ in their dashes, too, so that
they are told apart in grey.

>>> import chainrule
>>> network = chainrule.Network([2, 3, 1])
>>> history = network.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=3, learning_rate=0.5)
>>> ax = chainrule.plots.learning_curve(history)
>>> png = chainrule.plots.render(ax.figure, "png")
"""

from __future__ import annotations

from chainrule.plots._curves import gradient_check, learning_curve
from chainrule.plots._drawing import network_drawing
from chainrule.plots._images import digits, misclassified, weights_as_images
from chainrule.plots._regions import confusion_matrix, decision_regions
from chainrule.plots._style import FORMATS, PALETTE, WIDTH, render, style

__all__ = [
    "FORMATS",
    "PALETTE",
    "WIDTH",
    "confusion_matrix",
    "decision_regions",
    "digits",
    "gradient_check",
    "learning_curve",
    "misclassified",
    "network_drawing",
    "render",
    "style",
    "weights_as_images",
]
