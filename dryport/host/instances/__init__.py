"""EC2 instances as Linux hosts on this machine: the driver's side. What runs inside is ``dryport.instance``.

An instance is a set of namespaces (mount, process, host name, IPC, cgroup, and the network namespace that its
interfaces are plugged into) around an init of its own. This provider makes them out of the machine it runs on;
``dryport join``, which turns another machine into a container instance, is the other one.

``places`` says what lies where on disk, ``system`` what a fresh root disk holds, ``disks`` makes root disks, ``groups``
bounds CPU and memory, ``network`` sets up the interface, ``enter`` is the small program that makes the namespaces,
``provider`` puts them together and knows what runs.
"""
