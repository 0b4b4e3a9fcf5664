"""What a server answered, seen from outside: a relay in front of it, and the records of what passed."""
