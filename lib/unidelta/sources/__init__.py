"""Where rows come from, and how they come to read alike: the registry of the seventy-two tasks, CrossFit's formats and metrics, the hub and its mirrors,
the generated stand-ins, tasks of one's own. `unidelta.tasks` is the door to all of it."""
