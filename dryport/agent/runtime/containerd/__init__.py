"""The runtime of Fargate's tasks: containerd keeps the images, conmon and runc run the containers.

containerd (a daemon of Dryport's own) pulls, verifies, unpacks and deduplicates. A container itself needs no daemon:
its root is an overlay over containerd's unpacked layers, ``runc`` starts it, and ``conmon`` stays with it, one small
process a container, that keeps the pipes, writes the log with time stamps and leaves the exit code in a file. So an end
of the agent or of containerd touches no container, and nothing is lost meanwhile. docs/runtime.md has the
measurements that led here.
"""
