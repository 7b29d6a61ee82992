"""Before anything is done: may this caller do that? Policies that are stored are asked here, with every request.

``identified`` knows whose policies a credential stands under, ``resolution`` what only the store knows of a resource,
``decision`` asks the engine, ``refusals`` has the words. The gateway asks ``guard``; raw routes ask ``decision``.

A credential without ``identity`` stands under no policy: the root user's, and what the platform gives itself.
"""
