"""The Complement runner: finds the suite, gives it servers to test, and turns what it says into results."""
