"""The way in: AWS's wire protocols, driven by botocore's service models, and the dispatch to handlers.

``service`` is what the services see of it. The gateway knows no service's insides.
"""
