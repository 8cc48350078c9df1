"""What the tests of figures share: a history made by hand, and what stands in axes."""

from chainrule import History, plots

BLUE, VERMILION = (colour.lower() for colour in plots.PALETTE[:2])


def history_of(loss, validation=None):
    history = History()
    for i, value in enumerate(loss):
        history.steps.append(100 * (i + 1))
        history.loss.append(value)
        history.accuracy.append(1 - value)
        history.validation_loss.append(None if validation is None else validation[i])
        history.validation_accuracy.append(None)
    return history


def texts(axes):
    return [text.get_text() for text in axes.texts]
