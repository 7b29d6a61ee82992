"""The one place where state lives: typed objects, transactions, indexes and watches.

``interface`` is what the rest of Dryport sees, ``memory`` holds the current state with its indexes,
``sqlite`` makes it durable. Another backend (PostgreSQL for several control planes) fills ``interface.Store``.
"""

from dryport.store.interface import (
    Change,
    GroupingStore,
    Reader,
    Store,
    StoreUnavailable,
    Table,
    Transaction,
    View,
    Watch,
)

__all__ = ["Change", "GroupingStore", "Reader", "Store", "StoreUnavailable", "Table", "Transaction", "View", "Watch"]
