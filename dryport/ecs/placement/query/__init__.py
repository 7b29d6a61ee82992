"""The cluster query language: expressions that select container instances. Pure.

Source: "Create expressions to define container instances for Amazon ECS tasks", developer guide.
"""

from dryport.ecs.placement.query.errors import QueryError
from dryport.ecs.placement.query.parser import parse
from dryport.ecs.placement.query.tree import And, Comparison, Node, Not, Or, Query, comparisons

__all__ = ["And", "Comparison", "Node", "Not", "Or", "Query", "QueryError", "comparisons", "parse"]
