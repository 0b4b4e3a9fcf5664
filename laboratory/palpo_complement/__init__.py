"""The Complement runner: finds the suite, gives it servers to test, and turns what it says into results."""

__version__ = "0.1.0.dev0"
