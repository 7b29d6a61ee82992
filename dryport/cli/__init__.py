"""What people type. Talks to the platform through its processes' public face: the signed API, pids, files of theirs."""
