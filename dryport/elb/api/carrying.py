"""Whether the data plane can do what was asked for, before it is promised."""

from __future__ import annotations

from dryport.elb import model, plans
from dryport.elb.actions import not_acted_on
from dryport.elb.dataplane import configuration
from dryport.elb.dataplane.plan import NotCarried
from dryport.elb.names import invalid
from dryport.gateway.service import Call


def check(call: Call, load_balancer_arn: str) -> None:
    """Refuse, by name, what was just written of a load balancer and is not carried. Raises ServiceError."""
    stored = call.tx.get(model.LOAD_BALANCERS, load_balancer_arn)
    if stored is None:
        return
    try:
        wanted = plans.of(call.tx, stored)
        configuration.render(wanted, configuration.assign(wanted, {}))
    except NotCarried as error:
        raise not_acted_on(str(error)) from None
    except ValueError as error:  # characters that a configuration cannot hold
        raise invalid(str(error)) from None
