"""Cloud Map's API, called by boto3 through the gateway."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dryport.host.messages import PrivateZone, RecordSet
from tests.served import Served, refusal
from tests.servicediscovery.conftest import Driver, finished, namespace

ACCOUNT = "000000000000"


def a_records(ttl: int = 10) -> dict[str, Any]:
    return {"DnsRecords": [{"Type": "A", "TTL": ttl}]}


def zone_of(driver: Driver, name: str) -> PrivateZone:
    return next(zone for zone in driver.zones.values() if zone.name == name)


def test_a_private_namespace_comes_and_goes(cloudmap: Any, driver: Driver, vpc_id: str) -> None:
    asked = {"Name": "Corp.Local", "Vpc": vpc_id, "Description": "ours", "CreatorRequestId": "one"}
    asked["Tags"] = [{"Key": "team", "Value": "web"}]  # type: ignore[assignment]
    operation_id = cloudmap.create_private_dns_namespace(**asked)["OperationId"]
    assert re.fullmatch(r"[a-z0-9]{32}-[a-z0-9]{8}", operation_id)
    assert cloudmap.create_private_dns_namespace(**asked)["OperationId"] == operation_id
    other = {**asked, "Description": "other"}
    assert refusal(cloudmap.create_private_dns_namespace, **other)[0] == "DuplicateRequest"
    while (done := cloudmap.get_operation(OperationId=operation_id)["Operation"])["Status"] != "SUCCESS":
        pass
    assert (done["Type"], done["OwnerAccount"]) == ("CREATE_NAMESPACE", ACCOUNT)
    namespace_id = done["Targets"]["NAMESPACE"]
    found = cloudmap.get_namespace(Id=namespace_id)["Namespace"]
    zone_id = found["Properties"]["DnsProperties"]["HostedZoneId"]
    assert found == {
        "Id": namespace_id,
        "Arn": f"arn:aws:servicediscovery:us-east-1:{ACCOUNT}:namespace/{namespace_id}",
        "ResourceOwner": ACCOUNT,
        "Name": "Corp.Local",
        "Type": "DNS_PRIVATE",
        "Description": "ours",
        "ServiceCount": 0,
        "Properties": {
            "DnsProperties": {"HostedZoneId": zone_id, "SOA": {"TTL": 15}},
            "HttpProperties": {"HttpName": "Corp.Local"},
        },
        "CreateDate": found["CreateDate"],
        "CreatorRequestId": "one",
    }
    assert driver.zones[vpc_id, zone_id] == PrivateZone(name="corp.local", soa_ttl=15)
    change = {"Description": "changed", "Properties": {"DnsProperties": {"SOA": {"TTL": 60}}}}
    assert finished(cloudmap, cloudmap.update_private_dns_namespace, Id=namespace_id, Namespace=change)
    assert driver.zones[vpc_id, zone_id].soa_ttl == 60
    assert cloudmap.get_namespace(Id=found["Arn"])["Namespace"]["Description"] == "changed"
    service_id = cloudmap.create_service(Name="web", NamespaceId=namespace_id, DnsConfig=a_records())["Service"]["Id"]
    assert refusal(cloudmap.delete_namespace, Id=namespace_id)[0] == "ResourceInUse"
    cloudmap.delete_service(Id=service_id)
    assert finished(cloudmap, cloudmap.delete_namespace, Id=namespace_id)["Type"] == "DELETE_NAMESPACE"
    assert (vpc_id, zone_id) not in driver.zones
    assert refusal(cloudmap.get_namespace, Id=namespace_id)[0] == "NamespaceNotFound"
    assert refusal(cloudmap.delete_namespace, Id=namespace_id)[0] == "NamespaceNotFound"


def test_zones_that_cannot_be_fail_their_operation(cloudmap: Any, served: Served, vpc_id: str) -> None:
    made = finished(cloudmap, cloudmap.create_private_dns_namespace, Name="a.test", Vpc="vpc-00000000")
    assert (made["Status"], made["ErrorCode"]) == ("FAIL", "CANNOT_CREATE_HOSTED_ZONE")
    assert "InvalidVPCId" in made["ErrorMessage"]
    assert refusal(cloudmap.get_namespace, Id=made["Targets"]["NAMESPACE"])[0] == "NamespaceNotFound"
    first = namespace(cloudmap, "twice.test", vpc_id)
    again = finished(cloudmap, cloudmap.create_private_dns_namespace, Name="twice.test", Vpc=vpc_id)
    assert again["Status"] == "FAIL" and "ConflictingDomainExists" in again["ErrorMessage"]
    ec2 = served.client("ec2")
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    second = namespace(cloudmap, "twice.test", other)  # in a VPC of its own
    for each in (first, second):
        finished(cloudmap, cloudmap.delete_namespace, Id=each)
    ec2.delete_vpc(VpcId=other)


def test_names(cloudmap: Any, vpc_id: str) -> None:
    made = namespace(cloudmap, "plain")
    assert refusal(cloudmap.create_http_namespace, Name="plain")[0] == "NamespaceAlreadyExists"
    assert refusal(cloudmap.create_private_dns_namespace, Name="not a name!", Vpc=vpc_id)[0] != ""
    assert refusal(cloudmap.create_private_dns_namespace, Name="-a.test", Vpc=vpc_id)[0] == "InvalidInput"
    assert refusal(cloudmap.create_public_dns_namespace, Name="a.test")[0] == "NotImplemented"
    wrong = {"Id": made, "Namespace": {"Description": "x"}}
    assert refusal(cloudmap.update_private_dns_namespace, **wrong)[0] == "InvalidInput"
    finished(cloudmap, cloudmap.update_http_namespace, **wrong)
    assert cloudmap.get_namespace(Id=made)["Namespace"]["Description"] == "x"
    finished(cloudmap, cloudmap.delete_namespace, Id=made)


def test_a_services_records_follow_its_instances(cloudmap: Any, driver: Driver, vpc_id: str) -> None:
    space = namespace(cloudmap, "follow.test", vpc_id)
    records = {"DnsRecords": [{"Type": "SRV", "TTL": 5}, {"Type": "A", "TTL": 10}], "RoutingPolicy": "MULTIVALUE"}
    made = cloudmap.create_service(
        Name="api", NamespaceId=space, DnsConfig=records, HealthCheckCustomConfig={"FailureThreshold": 3}
    )["Service"]
    assert made == {
        "Id": made["Id"],
        "Arn": f"arn:aws:servicediscovery:us-east-1:{ACCOUNT}:service/{made['Id']}",
        "ResourceOwner": ACCOUNT,
        "Name": "api",
        "NamespaceId": space,
        "Type": "DNS_HTTP",
        "InstanceCount": 0,
        "DnsConfig": {"NamespaceId": space, **records},
        "HealthCheckCustomConfig": {"FailureThreshold": 1},
        "CreateDate": made["CreateDate"],
        "CreatorRequestId": made["CreatorRequestId"],
        "CreatedByAccount": ACCOUNT,
    }
    service: dict[str, Any] = {"ServiceId": made["Id"]}
    for number in (1, 2):
        attributes = {"AWS_INSTANCE_IPV4": f"10.0.0.{number}", "AWS_INSTANCE_PORT": "80", "color": "blue"}
        done = finished(
            cloudmap, cloudmap.register_instance, **service, InstanceId=f"i-{number}", Attributes=attributes
        )
        assert (done["Status"], done["Targets"]) == ("SUCCESS", {"INSTANCE": f"i-{number}", "SERVICE": made["Id"]})
    assert zone_of(driver, "follow.test").records == {
        "api.follow.test": {
            "SRV": RecordSet(ttl=5, values=["1 1 80 i-1.api.follow.test.", "1 1 80 i-2.api.follow.test."]),
            "A": RecordSet(ttl=10, values=["10.0.0.1", "10.0.0.2"]),
        },
        "i-1.api.follow.test": {"A": RecordSet(ttl=5, values=["10.0.0.1"], most=1)},
        "i-2.api.follow.test": {"A": RecordSet(ttl=5, values=["10.0.0.2"], most=1)},
    }
    revision = cloudmap.discover_instances_revision(NamespaceName="follow.test", ServiceName="api")
    cloudmap.update_instance_custom_health_status(**service, InstanceId="i-1", Status="UNHEALTHY")
    after = cloudmap.discover_instances_revision(NamespaceName="follow.test", ServiceName="api")
    assert after["InstancesRevision"] > revision["InstancesRevision"]
    while zone_of(driver, "follow.test").records["api.follow.test"]["A"].values != ["10.0.0.2"]:
        pass
    assert cloudmap.get_instances_health_status(**service)["Status"] == {"i-1": "UNHEALTHY", "i-2": "HEALTHY"}
    change = {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 33}]}}
    finished(cloudmap, cloudmap.update_service, Id=made["Id"], Service=change)
    assert zone_of(driver, "follow.test").records == {"api.follow.test": {"A": RecordSet(ttl=33, values=["10.0.0.2"])}}
    grown = {"DnsConfig": {"DnsRecords": [{"Type": "AAAA", "TTL": 1}]}}
    assert refusal(cloudmap.update_service, Id=made["Id"], Service=grown)[0] == "InvalidInput"
    assert refusal(cloudmap.delete_service, Id=made["Id"])[0] == "ResourceInUse"
    for number in (1, 2):
        done = finished(cloudmap, cloudmap.deregister_instance, **service, InstanceId=f"i-{number}")
        assert done["Type"] == "DEREGISTER_INSTANCE"
    assert zone_of(driver, "follow.test").records == {}
    assert refusal(cloudmap.get_instance, **service, InstanceId="i-1")[0] == "InstanceNotFound"
    assert refusal(cloudmap.deregister_instance, **service, InstanceId="i-1")[0] == "InstanceNotFound"
    cloudmap.delete_service(Id=made["Id"])
    finished(cloudmap, cloudmap.delete_namespace, Id=space)


def test_a_driver_that_was_killed_is_told_again(cloudmap: Any, served: Served, driver: Driver, vpc_id: str) -> None:
    space = namespace(cloudmap, "again.test", vpc_id)
    service_id = cloudmap.create_service(Name="web", NamespaceId=space, DnsConfig=a_records())["Service"]["Id"]
    instance = {"ServiceId": service_id, "InstanceId": "one", "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1"}}
    finished(cloudmap, cloudmap.register_instance, **instance)
    before = zone_of(driver, "again.test")
    served.run(driver.die())
    while "again.test" not in [zone.name for zone in driver.zones.values()]:
        pass
    assert zone_of(driver, "again.test") == before
    driver.away = True
    operation_id = cloudmap.deregister_instance(ServiceId=service_id, InstanceId="one")["OperationId"]
    assert cloudmap.get_operation(OperationId=operation_id)["Operation"]["Status"] == "SUBMITTED"
    assert refusal(cloudmap.deregister_instance, ServiceId=service_id, InstanceId="one")[0] == "DuplicateRequest"
    driver.away = False
    while cloudmap.get_operation(OperationId=operation_id)["Operation"]["Status"] != "SUCCESS":
        pass
    assert zone_of(driver, "again.test").records == {}
    cloudmap.delete_service(Id=service_id)
    finished(cloudmap, cloudmap.delete_namespace, Id=space)


def test_names_that_are_too_long(cloudmap: Any, vpc_id: str) -> None:
    space = namespace(cloudmap, ".".join(["n" * 60] * 3), vpc_id)
    srv = {"DnsRecords": [{"Type": "SRV", "TTL": 1}]}
    create = {"NamespaceId": space, "DnsConfig": srv}
    assert refusal(cloudmap.create_service, Name=".".join(["s" * 60] * 2), **create)[0] == "InvalidInput"
    service_id = cloudmap.create_service(Name="s" * 50, **create)["Service"]["Id"]
    attributes = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"}
    long = {"ServiceId": service_id, "InstanceId": "i" * 20, "Attributes": attributes}
    assert refusal(cloudmap.register_instance, **long) == (
        "InvalidInput",
        f"The name of instance {'i' * 20} is too long for a domain name.",
    )
    finished(cloudmap, cloudmap.register_instance, **{**long, "InstanceId": "i" * 19})
    finished(cloudmap, cloudmap.deregister_instance, ServiceId=service_id, InstanceId="i" * 19)
    cloudmap.delete_service(Id=service_id)
    finished(cloudmap, cloudmap.delete_namespace, Id=space)


def test_what_records_need(cloudmap: Any, vpc_id: str) -> None:
    space = namespace(cloudmap, "needs.test", vpc_id)
    cname = {"DnsRecords": [{"Type": "CNAME", "TTL": 1}]}
    create = {"Name": "x", "NamespaceId": space}
    for wrong in (
        {},
        {"DnsConfig": cname},  # MULTIVALUE
        {"DnsConfig": {"DnsRecords": [*cname["DnsRecords"], {"Type": "A", "TTL": 1}], "RoutingPolicy": "WEIGHTED"}},
        {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 1}] * 2}},
        {"DnsConfig": a_records(), "Type": "HTTP"},
        {"DnsConfig": {"NamespaceId": "ns-other", **a_records()}},
    ):
        assert refusal(cloudmap.create_service, **create, **wrong)[0] == "InvalidInput", wrong
    checked = {"DnsConfig": a_records(), "HealthCheckConfig": {"Type": "TCP"}}
    assert refusal(cloudmap.create_service, **create, **checked)[0] == "NotImplemented"
    srv = {"DnsRecords": [{"Type": "SRV", "TTL": 1}]}
    asked = {**create, "DnsConfig": srv, "CreatorRequestId": "same"}
    service_id = cloudmap.create_service(**asked)["Service"]["Id"]
    assert cloudmap.create_service(**asked)["Service"]["Id"] == service_id
    assert refusal(cloudmap.create_service, **create, DnsConfig=srv)[0] == "ServiceAlreadyExists"
    good = {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"}
    for instance_id, attributes in (
        ("one", {"AWS_INSTANCE_IPV4": "10.0.0.1"}),
        ("one", {"AWS_INSTANCE_PORT": "80"}),
        ("one", {**good, "AWS_INSTANCE_IPV4": "10.0.0.256"}),
        ("one", {**good, "AWS_INSTANCE_PORT": "65536"}),
        ("one", {**good, "AWS_INIT_HEALTH_STATUS": "HEALTHY"}),
        ("one", {**good, "AWS_ALIAS_DNS_NAME": "lb.example"}),
        ("one", {**good, **{f"key{number}": "x" for number in range(31)}}),
        ("one", {**good, **{f"key{number}": "x" * 1000 for number in range(5)}}),
        ("a/b", good),
    ):
        answer = refusal(
            cloudmap.register_instance, ServiceId=service_id, InstanceId=instance_id, Attributes=attributes
        )
        assert answer[0] == "InvalidInput", attributes
    status = {"ServiceId": service_id, "InstanceId": "one", "Status": "HEALTHY"}
    assert refusal(cloudmap.update_instance_custom_health_status, **status)[0] == "CustomHealthNotFound"
    unknown = {"ServiceId": "srv-none", "InstanceId": "one", "Attributes": good}
    assert refusal(cloudmap.register_instance, **unknown)[0] == "ServiceNotFound"
    cloudmap.delete_service(Id=service_id)
    finished(cloudmap, cloudmap.delete_namespace, Id=space)


@pytest.fixture(scope="module")
def colors(cloudmap: Any) -> str:
    """A service for the API alone: three blue ones, one green and unhealthy."""
    space = namespace(cloudmap, "colors")
    made = cloudmap.create_service(Name="paint", NamespaceId=space, HealthCheckCustomConfig={})["Service"]
    assert made["Type"] == "HTTP" and "DnsConfig" not in made
    for name, color, zone, health in (
        ("a", "blue", "1", "HEALTHY"),
        ("b", "blue", "2", "HEALTHY"),
        ("c", "blue", "2", "UNHEALTHY"),
        ("d", "green", "1", "UNHEALTHY"),
    ):
        attributes = {"color": color, "zone": zone, "AWS_INIT_HEALTH_STATUS": health}
        finished(cloudmap, cloudmap.register_instance, ServiceId=made["Id"], InstanceId=name, Attributes=attributes)
    return str(made["Id"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "ab"),
        ({"HealthStatus": "ALL"}, "abcd"),
        ({"HealthStatus": "UNHEALTHY"}, "cd"),
        ({"QueryParameters": {"color": "blue"}}, "ab"),
        ({"QueryParameters": {"color": "green"}}, "d"),
        ({"QueryParameters": {"color": "green"}, "HealthStatus": "HEALTHY"}, ""),
        ({"QueryParameters": {"color": "red"}}, ""),
        ({"OptionalParameters": {"zone": "1"}, "HealthStatus": "ALL"}, "ad"),
        ({"OptionalParameters": {"zone": "9"}, "HealthStatus": "ALL"}, "abcd"),
        ({"QueryParameters": {"color": "blue"}, "OptionalParameters": {"zone": "2"}}, "b"),
    ],
    ids=str,
)
def test_discovery(cloudmap: Any, colors: str, asked: dict[str, Any], expected: str) -> None:
    found = cloudmap.discover_instances(NamespaceName="colors", ServiceName="paint", **asked)["Instances"]
    assert "".join(sorted(each["InstanceId"] for each in found)) == expected
    assert {(each["NamespaceName"], each["ServiceName"]) for each in found} <= {("colors", "paint")}


def test_discovery_of_what_is_not_there(cloudmap: Any, colors: str, served: Served) -> None:
    assert len(cloudmap.discover_instances(NamespaceName="colors", ServiceName="paint", MaxResults=1)["Instances"]) == 1
    assert refusal(cloudmap.discover_instances, NamespaceName="no", ServiceName="paint")[0] == "NamespaceNotFound"
    assert refusal(cloudmap.discover_instances, NamespaceName="colors", ServiceName="no")[0] == "ServiceNotFound"
    foreign = {"NamespaceName": "colors", "ServiceName": "paint", "OwnerAccount": "111111111111"}
    assert refusal(cloudmap.discover_instances, **foreign)[0] == "NamespaceNotFound"
    elsewhere = served.client("servicediscovery", "eu-central-1")
    assert refusal(elsewhere.discover_instances, NamespaceName="colors", ServiceName="paint")[0] == "NamespaceNotFound"
    assert elsewhere.list_services()["Services"] == []
    assert refusal(elsewhere.get_service, Id=colors)[0] == "ServiceNotFound"


def test_lists_filters_and_pages(cloudmap: Any, colors: str) -> None:
    spaces = [namespace(cloudmap, f"list-{number}") for number in range(3)]
    begins = {"Name": "NAME", "Values": ["list-"], "Condition": "BEGINS_WITH"}
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = cloudmap.list_namespaces(Filters=[begins], MaxResults=2, **token)
        assert len(page["Namespaces"]) <= 2
        found += [each["Id"] for each in page["Namespaces"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == spaces
    exact = [{"Name": "NAME", "Values": ["list-1"]}, {"Name": "TYPE", "Values": ["HTTP"]}]
    assert [each["Id"] for each in cloudmap.list_namespaces(Filters=exact)["Namespaces"]] == [spaces[1]]
    private = [{"Name": "TYPE", "Values": ["DNS_PRIVATE", "DNS_PUBLIC"], "Condition": "IN"}, begins]
    assert cloudmap.list_namespaces(Filters=private)["Namespaces"] == []
    space = cloudmap.get_service(Id=colors)["Service"]["NamespaceId"]
    listed = cloudmap.list_services(Filters=[{"Name": "NAMESPACE_ID", "Values": [space]}])["Services"]
    assert [(each["Id"], each["InstanceCount"]) for each in listed] == [(colors, 4)]
    operations = cloudmap.list_operations(
        Filters=[
            {"Name": "SERVICE_ID", "Values": [colors]},
            {"Name": "TYPE", "Values": ["REGISTER_INSTANCE"]},
            {"Name": "UPDATE_DATE", "Values": ["0", "9999999999"], "Condition": "BETWEEN"},
        ]
    )["Operations"]
    assert [each["Status"] for each in operations] == ["SUCCESS"] * 4
    between = [{"Name": "STATUS", "Values": ["SUCCESS"], "Condition": "BETWEEN"}]
    assert refusal(cloudmap.list_operations, Filters=between)[0] == "InvalidInput"
    assert refusal(cloudmap.list_namespaces, NextToken="no token")[0] == "InvalidInput"
    assert len(cloudmap.list_instances(ServiceId=colors, MaxResults=3)["Instances"]) == 3
    for each in spaces:
        finished(cloudmap, cloudmap.delete_namespace, Id=each)


def test_tags_and_attributes(cloudmap: Any, colors: str) -> None:
    arn = cloudmap.get_service(Id=colors)["Service"]["Arn"]
    cloudmap.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    cloudmap.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert cloudmap.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    many = [{"Key": f"key{number}", "Value": ""} for number in range(50)]
    assert refusal(cloudmap.tag_resource, ResourceARN=arn, Tags=many)[0] == "TooManyTagsException"
    assert refusal(cloudmap.list_tags_for_resource, ResourceARN=f"{arn}0")[0] == "ResourceNotFoundException"
    cloudmap.update_service_attributes(ServiceId=colors, Attributes={"x": "1", "y": "2"})
    cloudmap.delete_service_attributes(ServiceId=colors, Attributes=["x"])
    found = cloudmap.get_service_attributes(ServiceId=colors)["ServiceAttributes"]
    assert found == {"ServiceArn": arn, "ResourceOwner": ACCOUNT, "Attributes": {"y": "2"}}
    more = {f"key{number}": "" for number in range(30)}
    limit = refusal(cloudmap.update_service_attributes, ServiceId=colors, Attributes=more)[0]
    assert limit == "ServiceAttributesLimitExceededException"


def test_all_of_it_is_there_after_a_restart(cloudmap: Any, served: Served, colors: str, driver: Driver) -> None:
    before = cloudmap.get_service(Id=colors)["Service"]
    served.restart()
    again = served.client("servicediscovery")
    assert again.get_service(Id=colors)["Service"] == before
    assert len(again.discover_instances(NamespaceName="colors", ServiceName="paint")["Instances"]) == 2
