"""The awslogs driver for runtimes that keep their containers' output: it is read from there and shipped.

``options`` and ``batch`` are pure; ``shipper`` follows one container; ``service`` knows all of them.
"""
