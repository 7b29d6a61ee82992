"""Metric math: expressions on series of values. Pure.

``parser`` makes a tree of a text, ``evaluation`` works it out, ``functions`` has the functions. What CloudWatch has and
Dryport does not (``SEARCH``, ``ANOMALY_DETECTION_BAND``, Metrics Insights) is refused by name.

Source: "Using math expressions with CloudWatch metrics", CloudWatch user guide.
"""

from dryport.cloudwatch.expressions.evaluation import Frame, NotWorkedOut, Value, evaluate
from dryport.cloudwatch.expressions.parser import Malformed, Node, names, parse

__all__ = ["Frame", "Malformed", "Node", "NotWorkedOut", "Value", "evaluate", "names", "parse"]
