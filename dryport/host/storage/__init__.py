"""Volumes (EBS) and file systems that several hosts mount at once (EFS), on this machine: the driver's side.

``volumes`` keeps volumes and snapshots as sparse files, and volumes that are attached in loop devices; ``attachments``
makes those block devices of instances; ``holders`` knows who has a device mounted, in whatever mount namespace, and
freezes what is on it; ``filesystems`` keeps EFS file systems as directories and has them appear in instances.
``driver`` does the verbs of ``messages.storage``. What is attached or mounted is in the kernel, found again by name.
"""
