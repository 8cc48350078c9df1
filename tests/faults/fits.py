"""Fits to interrupt, and other threads to do it from."""

from concurrent.futures import ThreadPoolExecutor

from chainrule import Network

FOREVER = 10**9  # steps or epochs


def make(backend):
    return Network([30, 20, 10], backend=backend)


def run_in_thread(work):
    """Run work to its end in another thread; the future has its result or exception."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work)
