"""On which instance a task goes. Pure."""
