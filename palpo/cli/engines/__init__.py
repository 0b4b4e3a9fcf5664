"""The HTTP engines, Hypercorn and uvicorn, and what makes them behave alike.

Each listener has one of them; all run in one process, on sockets that ``sockets`` has bound. Parsing HTTP is
the engines' own. What they lack, or do differently, is added by subclasses of their protocols, one module an
engine (``on_uvicorn``, ``on_hypercorn``), with the rules in ``connections``:

- An answer that is given before its request's body has arrived announces the connection's end, and the rest
  of the body is read and dropped for a while, so that a client which writes first gets to see the answer
  (RFC 9112, 9.6).
- A head, an idle connection and a client that takes no more of its response have a bounded time.
- What is not HTTP is answered with JSON, as everything else is.
"""
