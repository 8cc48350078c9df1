"""Learn XOR with an installed chainrule, on both engines; no file of the checkout is needed."""

import sys

import numpy as np

import chainrule

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
y = np.array([0, 1, 1, 0])
networks = {}
for backend in ("rust", "numpy"):
    network = chainrule.Network([2, 8, 1], activation="tanh", seed=1, backend=backend)
    network.fit(x, y, epochs=500, learning_rate=0.1)
    if network.backend != backend or network.evaluate(x, y).accuracy != 1.0:
        sys.exit(f"{backend}: {network.backend}, {network.evaluate(x, y)}")
    networks[backend] = network
again = chainrule.Network([2, 8, 1], activation="tanh", seed=1, backend="rust")
again.fit(x, y, epochs=250, learning_rate=0.1)
again.fit(x, y, epochs=250, learning_rate=0.1)
if again.fingerprint() != networks["rust"].fingerprint():
    sys.exit("two fits of 250 epochs differ from one of 500")
print(f"learns XOR: chainrule {chainrule.__version__}, numpy {np.__version__}, {sys.version[:7]}")
