"""EFS: file systems that tasks on several hosts mount at once, their mount targets and access points.

Owns the tables of ``model``. ``controllers`` watches the file systems: it has the host driver make and delete their
directories, and measures them. ``mounting`` decides, on the rules of security groups, whether a task may mount one;
``published`` is what ECS calls. There is no NFS in it: what is mounted is a directory of the machine's.
"""
