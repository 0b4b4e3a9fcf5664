"""Simplified sliding sync (MSC4186).

config.py       pure: what a request asks for, checked; combining what several rules want of one room
listing.py      pure: filters, and lists of rooms that are kept sorted
user_lists.py   each user's rooms by activity, brought up to date by what has changed
facts.py        what filters ask about a room
connections.py  what each connection has been sent, in memory and in the database
bumps.py        when something last happened in a room that is worth a bump
changes.py      which rooms are due, and why
rooms.py        collects what is new in one room
extensions.py   what is not a room's events
assemble.py     what was collected, as the response
service.py      POST /sync: waits, collects, assembles, remembers
"""
