"""XOR, which a single layer cannot learn: one hidden layer of four units can."""

import numpy as np

import chainrule

x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = [0, 1, 1, 0]


def accuracy(sizes: list[int]) -> float:
    """Train on the four rows and count how many come out right."""
    network = chainrule.Network(sizes, activation="tanh", loss="binary_cross_entropy")
    network.fit(x, y, epochs=500, batch_size=4, learning_rate=0.5)
    for row, output in zip(x, network.predict(x)[:, 0], strict=True):
        print(f"  {row[0]:.0f} xor {row[1]:.0f} -> {output:.3f}")
    return network.evaluate(x, y).accuracy or 0.0


print("a single layer")
print(f"accuracy {accuracy([2, 1]):.2f}")
print("one hidden layer")
print(f"accuracy {accuracy([2, 4, 1]):.2f}")
