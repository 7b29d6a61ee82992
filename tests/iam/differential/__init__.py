"""The policy engine against an independent one: npm's ``@cloud-copilot/iam-simulate``."""
