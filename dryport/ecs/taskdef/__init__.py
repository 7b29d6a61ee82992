"""Task definitions: what RegisterTaskDefinition accepts, what it fills in, what it derives. Pure.

``register.normalize`` is the way in; the other modules each know one part of the JSON. All refuse with a
ServiceError in ECS's words.
"""
