"""Whether a server is set up well, seen from inside and from outside; each check says what to do.

``checkup.Doctor`` has all of them.
"""
