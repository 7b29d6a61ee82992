"""Facts about AWS that both sides of the wire need: names, identifiers, errors, signatures.

Pure: nothing here does I/O or knows a service of ours.
"""
