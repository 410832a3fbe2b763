"""Tasks: they compose a body, a brain and a trial logic, and are what the Gymnasium environments play."""
