"""Where rows come from, and how they get one form; `unidelta.tasks` is the way in to all of it.

The registry of the seventy-two tasks, CrossFit's formats and metrics, the hub and its mirrors, the generated stand-ins,
and tasks of one's own.
"""
