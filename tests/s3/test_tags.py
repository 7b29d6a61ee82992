"""Tags and ownership, with boto3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.served import refusal

NO_ACLS = ("AccessControlListNotSupported", "The bucket does not allow ACLs")


def tag_set(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def tags_of(s3: Any, key: str, **more: Any) -> dict[str, str]:
    answer = s3.get_object_tagging(Bucket="things", Key=key, **more)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def test_tags_of_a_bucket(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", "The TagSet does not exist")
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tag_set(team="a", stage=""))
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(team="a", stage="")["TagSet"]
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tag_set(team="b"))
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(team="b")["TagSet"]
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refusal(s3.get_bucket_tagging, Bucket=bucket)[0] == "NoSuchTagSet"
    s3.create_bucket(Bucket="tagged", CreateBucketConfiguration={"Tags": [{"Key": "k", "Value": "v"}]})
    assert s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == tag_set(k="v")["TagSet"]


def test_tags_of_objects_and_their_versions(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=bucket, Key="a", Body=b"1", Tagging="x=1&y=a%20b")["VersionId"]
    assert tags_of(s3, "a") == {"x": "1", "y": "a b"}
    assert s3.head_object(Bucket=bucket, Key="a")["TagCount"] == 2
    two = s3.put_object(Bucket=bucket, Key="a", Body=b"2")["VersionId"]
    assert tags_of(s3, "a") == {}
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="a")
    changed = s3.put_object_tagging(Bucket=bucket, Key="a", VersionId=one, Tagging=tag_set(z="3"))
    assert changed["VersionId"] == one
    assert (tags_of(s3, "a", VersionId=one), tags_of(s3, "a", VersionId=two)) == ({"z": "3"}, {})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a", "VersionId": one})
    assert tags_of(s3, "copy") == {"z": "3"}
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/copy", TaggingDirective="REPLACE", Tagging="n=w")
    assert tags_of(s3, "c") == {"n": "w"}
    s3.delete_object_tagging(Bucket=bucket, Key="c")
    assert tags_of(s3, "c") == {}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", Tagging="p=q")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload=parts)
    assert tags_of(s3, "m") == {"p": "q"}
    assert refusal(s3.get_object_tagging, Bucket=bucket, Key="no")[0] == "NoSuchKey"


def test_tags_that_are_refused(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**named, Body=b"")
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refusal(s3.put_object_tagging, **named, Tagging=twice) == (
        "InvalidTag",
        "Cannot provide multiple Tags with the same key",
    )
    many = tag_set(**{f"k{number}": "" for number in range(11)})
    assert refusal(s3.put_object_tagging, **named, Tagging=many) == (
        "BadRequest",
        "Object tags cannot be greater than 10",
    )
    assert refusal(s3.put_object_tagging, **named, Tagging=tag_set(**{"aws:x": "1"}))[0] == "InvalidTag"
    assert refusal(s3.put_object, **named, Body=b"", Tagging="a=1&a=2")[0] == "InvalidArgument"
    assert tags_of(s3, "a") == {}


def test_the_bucket_owner_owns_everything(s3: Any, bucket: str) -> None:
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": rules})
    other = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    assert refusal(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=other)[0] == "NotImplemented"
    s3.put_object(Bucket=bucket, Key="a", Body=b"", ACL="bucket-owner-full-control")
    me = s3.list_buckets()["Owner"]["ID"]
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="a")):
        assert acl["Owner"]["ID"] == me
        assert acl["Grants"] == [{"Grantee": {"ID": me, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]
    assert refusal(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == NO_ACLS
    assert refusal(s3.put_object_acl, Bucket=bucket, Key="a", ACL="public-read") == NO_ACLS
    assert refusal(s3.copy_object, Bucket=bucket, Key="b", CopySource=f"{bucket}/a", ACL="public-read") == NO_ACLS
    assert refusal(s3.create_bucket, Bucket="open", ACL="public-read")[0] == "InvalidBucketAclWithObjectOwnership"


@pytest.mark.parametrize("grant", ["GrantRead", "GrantFullControl"])
def test_grants_are_refused(s3: Any, bucket: str, grant: str) -> None:
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"", **{grant: "id=x"}) == NO_ACLS
