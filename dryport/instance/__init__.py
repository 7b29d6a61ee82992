"""What runs inside an EC2 instance: its first process, what a boot does once, the commands that end or restart it.

Only Python's standard library, run as ``python -I -S``, so that a boot costs milliseconds and an idle instance little
memory. ``init`` is process 1; ``cloud`` does what cloud-init does on AWS's images (names, keys, user data) and ends;
``commands`` stands in for ``shutdown``, ``reboot``, ``systemctl`` and the like. ``host.instances`` is the side outside.
"""
