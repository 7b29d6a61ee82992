"""Whether Elastic Load Balancing may write a balancer's access logs into a bucket: its policy says so.

Sources: "Attach a policy to your S3 bucket", user guides of application and classic load balancers; "Access logs for
your Network Load Balancer", which CloudWatch Logs' delivery brings.
"""

from __future__ import annotations

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.elb import names
from dryport.elb.access_logs import files
from dryport.elb.model import NETWORK, LoadBalancer
from dryport.iam import published as iam
from dryport.s3 import published as s3
from dryport.store import Reader

_SERVICE = "logdelivery.elasticloadbalancing.amazonaws.com"
_OF_NETWORK = "delivery.logs.amazonaws.com"
# The accounts of Elastic Load Balancing, by region, that policies named before there was the service's principal.
_ACCOUNTS = {
    "af-south-1": "098369216593",
    "ap-east-1": "754344448648",
    "ap-northeast-1": "582318560864",
    "ap-northeast-2": "600734575887",
    "ap-northeast-3": "383597477331",
    "ap-south-1": "718504428378",
    "ap-southeast-1": "114774131450",
    "ap-southeast-2": "783225319266",
    "ap-southeast-3": "589379963580",
    "ca-central-1": "985666609251",
    "eu-central-1": "054676820928",
    "eu-north-1": "897822967062",
    "eu-south-1": "635631232127",
    "eu-west-1": "156460612806",
    "eu-west-2": "652711504416",
    "eu-west-3": "009996457667",
    "me-south-1": "076674570225",
    "sa-east-1": "507241528517",
    "us-east-1": "127311923021",
    "us-east-2": "033677994240",
    "us-west-1": "027434742980",
    "us-west-2": "797873946194",
}


def may(reader: Reader, balancer: LoadBalancer, bucket: str, prefix: str) -> bool:
    """Whether a balancer's files may be written under a prefix of a bucket, in the balancer's region."""
    found = s3.access(reader, bucket)
    if found is None or not found.policy or s3.region(reader, bucket) != balancer.region:
        return False
    resource = f"arn:aws:s3:::{bucket}/{files.folder(balancer, prefix)}/log"
    arn = balancer.arn
    if balancer.classic is not None:
        arn = names.classic_arn(balancer.region, balancer.account, balancer.name)
    context = {"aws:sourcearn": arn, "aws:sourceaccount": balancer.account, "s3:x-amz-acl": "bucket-owner-full-control"}
    if balancer.type == NETWORK:
        context["aws:sourcearn"] = arns.make("logs", balancer.region, balancer.account, "log-delivery")
        return iam.lets(found.policy, "s3:PutObject", resource, found.account, context, _OF_NETWORK, "")
    account = _ACCOUNTS.get(balancer.region, "")
    return iam.lets(found.policy, "s3:PutObject", resource, found.account, context, _SERVICE, account)


def check_log(reader: Reader, balancer: LoadBalancer) -> None:
    """Refuse attributes that want a log where it may not be written. Raises ServiceError."""
    if balancer.attributes.get("access_logs.s3.enabled") != "true":
        return
    bucket, prefix = (balancer.attributes.get(f"access_logs.s3.{name}", "") for name in ("bucket", "prefix"))
    if not bucket:
        raise names.invalid("The value of 'access_logs.s3.bucket' cannot be empty")
    if prefix.startswith("/") or prefix.endswith("/") or "AWSLogs" in prefix:
        raise names.invalid(f"The value of 'access_logs.s3.prefix' is not valid: '{prefix}'")
    if not may(reader, balancer, bucket, prefix):
        message = f"Access Denied for bucket: {bucket}. Please check S3bucket permission"
        raise ServiceError("InvalidConfigurationRequest", message, 409 if balancer.classic is not None else 400)
