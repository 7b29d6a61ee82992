"""From a ``ContainerSpec`` to the OCI runtime specification: what ``runc`` is told. Pure but for reading the image's
own user database and this machine's seccomp profile."""
