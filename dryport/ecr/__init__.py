"""Amazon ECR: private repositories, their API, and the registry that Docker talks to.

Owns: repositories, images, tags, which layers a repository holds, upload sessions, and the blobs themselves
(``storage``). ``api`` answers AWS's operations, ``registry`` the OCI distribution API under ``/v2/``; both act on
``contents``, so that an image pushed through one is the same image through the other. Watches: nothing; the
``collector`` wakes by the clock, and removes what no image needs any more.

An image's bytes are durable before its row is, and its row is deleted before its bytes are: a row never points
at a file that is not there, whenever the process is killed.
"""
