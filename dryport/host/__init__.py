"""Linux itself: namespaces, links, sockets, cgroups, firewall, name service. The only code that needs root.

``daemon`` is the host driver, a process of its own that keeps the VPCs' networks; ``client`` speaks to it. The other
modules are also what the agent uses on its host. Nothing here knows of AWS's API.
"""
