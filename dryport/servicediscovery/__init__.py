"""AWS Cloud Map: namespaces, their services, and the instances of these, discovered by API and in a VPC by name.

Owns what is stored of them and the zones that the VPCs' name servers answer for private namespaces. Watches its own
tables, and VPCs for whether they have names at all.
"""
