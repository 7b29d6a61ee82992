"""ARNs, DNS names, hosted zones and what names may be. Pure: randomness is passed in.

ARNs are those of "Actions, resources, and condition keys for Elastic Load Balancing V2"; DNS names have AWS's form with
``elb.localhost`` at the end, so that they resolve on this machine.
"""

from __future__ import annotations

import hashlib
import re
from random import Random

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal
from dryport.elb.model import NETWORK

SERVICE = "elasticloadbalancing"
DOMAIN = "elb.localhost"
_LONGEST = 32
_PLAIN = re.compile(r"[A-Za-z0-9-]+")
_KINDS = {"application": "app", "network": "net", "classic": "classic"}
# "Elastic Load Balancing endpoints and quotas": hosted zones of application (also classic) and network ones.
_ZONES = {
    "af-south-1": ("Z268VQBMOI5EKX", "Z203XCE67M25HM"),
    "ap-east-1": ("Z3DQVH9N71FHZ0", "Z12Y7K3UBGUAD1"),
    "ap-northeast-1": ("Z14GRHDCWA56QT", "Z31USIVHYNEOWT"),
    "ap-northeast-2": ("ZWKZPGTI48KDX", "ZIBE1TIR4HY56"),
    "ap-northeast-3": ("Z5LXEXXYW11ES", "Z1GWIQ4HH19I5X"),
    "ap-south-1": ("ZP97RAFLXTNZK", "ZVDDRBQ08TROA"),
    "ap-south-2": ("Z0173938T07WNTVAEPZN", "Z0711778386UTO08407HT"),
    "ap-southeast-1": ("Z1LMS91P8CMLE5", "ZKVM4W9LS7TM"),
    "ap-southeast-2": ("Z1GM3OXH4ZPM65", "ZCT6FZBF4DROD"),
    "ap-southeast-3": ("Z08888821HLRG5A9ZRTER", "Z01971771FYVNCOVWJU1G"),
    "ca-central-1": ("ZQSVJUPU6J1EY", "Z2EPGBW3API2WT"),
    "cn-north-1": ("Z1GDH35T77C1KE", "Z3QFB96KMJ7ED6"),
    "cn-northwest-1": ("ZM7IZAIOVVDZF", "ZQEIKTCZ8352D"),
    "eu-central-1": ("Z215JYRZR1TBD5", "Z3F0SRJ5LGBH90"),
    "eu-central-2": ("Z06391101F2ZOEP8P5EB3", "Z02239872DOALSIDCX66S"),
    "eu-north-1": ("Z23TAZ6LKFMNIO", "Z1UDT6IFJ4EJM"),
    "eu-south-1": ("Z3ULH7SSC9OV64", "Z23146JA1KNAFP"),
    "eu-south-2": ("Z0956581394HF5D5LXGAP", "Z1011216NVTVYADP1SSV"),
    "eu-west-1": ("Z32O12XQLNTSW2", "Z2IFOLAFXWLO4F"),
    "eu-west-2": ("ZHURV8PSTC4K8", "ZD4D7Y8KGAS4G"),
    "eu-west-3": ("Z3Q77PNBQS71R4", "Z1CMS0P5QUZ6D5"),
    "me-central-1": ("Z08230872XQRWHG2XF6I", "Z00282643NTTLPANJJG2P"),
    "me-south-1": ("ZS929ML54UICD", "Z3QSRYVP46NYYV"),
    "sa-east-1": ("Z2P70J7HTTTPLU", "ZTK26PT1VY4CU"),
    "us-east-1": ("Z35SXDOTRQ7X7K", "Z26RNL4JYFTOTI"),
    "us-east-2": ("Z3AADJGX6KTTL2", "ZLMOA37VPKANP"),
    "us-gov-east-1": ("Z166TLBEWOO7G0", "Z1ZSMQQ6Q24QQ8"),
    "us-gov-west-1": ("Z33AYJ8TM3BH4J", "ZMG1MZ2THAWF1"),
    "us-west-1": ("Z368ELLRRE2KJ0", "Z24FKFUX50B4VW"),
    "us-west-2": ("Z1H1FL5HABSF5", "Z18D5FSROUN65G"),
}


def invalid(message: str) -> ServiceError:
    """Elastic Load Balancing's error for what is asked wrongly."""
    return ServiceError("ValidationError", message)


def new_id(random: Random) -> str:
    """The last part of an ARN: 16 hexadecimal digits."""
    return hexadecimal(random, 16)


def load_balancer_arn(region: str, account: str, kind: str, name: str, unique: str) -> str:
    """``loadbalancer/app/<name>/<unique>``, ``net`` for a network load balancer."""
    return arn.make(SERVICE, region, account, f"loadbalancer/{_KINDS[kind]}/{name}/{unique}")


def classic_arn(region: str, account: str, name: str) -> str:
    """What policies call a classic load balancer: ``loadbalancer/<name>``."""
    return arn.make(SERVICE, region, account, f"loadbalancer/{name}")


def target_group_arn(region: str, account: str, name: str, unique: str) -> str:
    """``targetgroup/<name>/<unique>``."""
    return arn.make(SERVICE, region, account, f"targetgroup/{name}/{unique}")


def listener_arn(load_balancer: str, unique: str) -> str:
    """A listener's ARN, of its load balancer's."""
    return load_balancer.replace(":loadbalancer/", ":listener/", 1) + f"/{unique}"


def rule_arn(listener: str, unique: str) -> str:
    """A rule's ARN, of its listener's."""
    return listener.replace(":listener/", ":listener-rule/", 1) + f"/{unique}"


def default_rule_arn(listener: str) -> str:
    """The ARN of a listener's default rule, which is no row: it follows from the listener's."""
    return rule_arn(listener, hashlib.sha256(listener.encode()).hexdigest()[:16])


def listener_of_default_rule(text: str) -> str | None:
    """The ARN of the listener whose default rule this is; ``None`` where it cannot be one."""
    head, _, _ = text.rpartition("/")
    listener = head.replace(":listener-rule/", ":listener/", 1)
    return listener if default_rule_arn(listener) == text else None


def dns_name(random: Random, region: str, kind: str, scheme: str, name: str, unique: str) -> str:
    """The name that clients use. ``unique`` is the one of the ARN, which AWS uses for network load balancers."""
    if kind == NETWORK:
        return f"{name}-{unique}.{region}.{DOMAIN}"
    inside = "internal-" if scheme == "internal" else ""
    return f"{inside}{name}-{random.randrange(10**8, 2 * 10**9)}.{region}.{DOMAIN}"


def hosted_zone(region: str, kind: str) -> str:
    """Route 53's hosted zone of the DNS names. A region that AWS's table does not have gets us-east-1's."""
    return _ZONES.get(region, _ZONES["us-east-1"])[kind == NETWORK]


def check_load_balancer_name(name: str) -> None:
    """Refuse a name that a load balancer cannot have. Raises ServiceError."""
    subject = f"The load balancer name '{name}'"
    if len(name) > _LONGEST:
        raise invalid(f"{subject} cannot be longer than '{_LONGEST}' characters")
    if not _PLAIN.fullmatch(name):
        raise invalid(f"{subject} can only contain characters that are alphanumeric characters and hyphens(-)")
    for wrong, end in ((name.startswith("-"), "begin"), (name.endswith("-"), "end")):
        if wrong:
            raise invalid(f"{subject} cannot {end} with a hyphen(-)")
    if name.lower().startswith("internal-"):
        raise invalid(f"{subject} cannot begin with 'internal-'")


def check_target_group_name(name: str) -> None:
    """Refuse a name that a target group cannot have. Raises ServiceError."""
    if not name:
        raise invalid("A target group name must be specified")
    if len(name) > _LONGEST:
        raise invalid(f"Target group name '{name}' cannot be longer than '{_LONGEST}' characters")
    if not _PLAIN.fullmatch(name):
        raise invalid(
            f"Target group name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)"
        )
    if name.startswith("-") or name.endswith("-") or "--" in name:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'targetGroup.targetGroupArn.targetGroupName' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: (?!.*--)(?!^-)(?!.*-$)^[A-Za-z0-9-]+$"
        )
