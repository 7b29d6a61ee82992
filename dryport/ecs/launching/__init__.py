"""From a request to run a task to the tasks: what RunTask, StartTask and services share."""
