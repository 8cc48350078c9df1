"""The report's network on MNIST: train, look, save, load.

Run it with a number of steps to stop sooner: python examples/mnist.py 5000
"""

import sys

import chainrule

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 51_419
train, test = chainrule.mnist.load()

network = chainrule.Network([784, 16, 16, 10], initialization="he_uniform")
print(network.summary())

history = network.fit(
    train.images,
    train.labels,
    steps=steps,
    learning_rate=chainrule.Linear(0.275),
    record_every=max(1, steps // 4),
)
print(history)

loss, accuracy = network.evaluate(test.images, test.labels)
print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")

print(f"the first test images are {network.classify(test.images[:10])}")
print(f"and should be            {test.labels[:10]}")

network.save("mnist.safetensors")
again = chainrule.Network.load("mnist.safetensors")
print(f"the same after loading: {again.fingerprint() == network.fingerprint()}")
