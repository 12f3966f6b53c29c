"""The review page: people decide about suspects and trajectories in the browser, and every decision is an event.

    events.py      what a reviewer did, and what stands after it          pure
    agreement.py   two reviewers: kappa, disagreements, what is settled   pure
    outcome.py     settled decisions as patches or as drops               pure
    chain.py       a reference solution's own arithmetic, done again      pure
    items.py       what is under review, read by offset
    book.py        the event files of a directory: durable, locked, never overwritten
    guard.py       who may speak to the server
    cells.py       programs run again in the sandbox
    pages.py       what a page shows, as values for its template
    server.py      the Starlette application

What this package does not do: it finds nothing (`labels`), and edits no data file: patches are applied by readers.
"""
