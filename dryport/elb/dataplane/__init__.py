"""What carries the traffic. Pure: ``plan`` says what a balancer is, ``haproxy`` how HAProxy is told, ``slots`` which
of HAProxy's servers is which target, ``health`` what HAProxy's checks mean in AWS's words.

A process, sockets and files are the host driver's.
"""
