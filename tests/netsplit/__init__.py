"""Three of our servers in bad weather, each on another database: in the end all have the same.

    python -m tests.netsplit --minutes 30 --seed 1

Each is a process of its own, and their clocks are apart by an hour. Between each two stand two links, one for
each direction, through which every request goes: links lose requests and answers, hold them up, pass them on
twice or once more much later, and break for seconds. Users on all of them talk, change rooms, ban each other
and come back meanwhile. Then the weather clears, and what the servers have is compared, room by room.
"""
