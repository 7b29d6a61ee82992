"""Composition: which rooms there are, the processes that Dryport consists of, and the supervisor over them."""
