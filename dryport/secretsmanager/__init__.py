"""AWS Secrets Manager: secrets, their versions and staging labels. Rotation is refused by name.

Owns: secrets, their values sealed. Watches: its own secrets, to delete those whose recovery window is over.
"""
