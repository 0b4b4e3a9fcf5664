"""A real Synapse is filled through its API, imported, and its clients go on with ours.

``python -m tests.interop.synapse_import --users 50 --rooms 100 --events 20000 --database sqlite`` does the
same in any size, and says how long it took.
"""
