"""Plain values that storage keeps, services give out and handlers read.

Handlers import nothing of storage. Records that go no further than services are in storage.
"""
