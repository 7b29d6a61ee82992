"""Instances of a test, as container instances of a cluster, and a look inside them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from dryport.host.instances.places import Place
from tests.conftest import Platform
from tests.platform.support import eventually

CLUSTER = "instances"
PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"


class Fleet:
    """Instances of a security group of their own in a cluster."""

    def __init__(self, platform: Platform, image: str, group: str = "fleet", cluster: str = CLUSTER) -> None:
        self.platform, self.image, self.cluster = platform, image, cluster
        self.user_data = f"#!/bin/sh\necho ECS_CLUSTER={cluster} >> /etc/ecs/ecs.config\necho user data was here\n"
        self.ec2, self.ecs = platform.client("ec2"), platform.client("ecs")
        self.ecs.create_cluster(clusterName=cluster)
        self.ami = platform.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
        self.group = self.ec2.create_security_group(GroupName=group, Description="their ports")["GroupId"]

    def launch(self, **settings: Any) -> dict[str, Any]:
        """A new instance, once its agent is connected: DescribeInstances' shape."""
        made = self.boot(**settings)
        eventually(lambda: self.container_instance(made).get("agentConnected"))
        return self.instance(made)

    def boot(self, **settings: Any) -> str:
        """The id of a new instance. ``settings`` are members of RunInstances."""
        request: dict[str, Any] = {
            "ImageId": self.ami,
            "InstanceType": "t3.small",
            "MinCount": 1,
            "MaxCount": 1,
            "SecurityGroupIds": [self.group],
            "UserData": self.user_data,
            "IamInstanceProfile": {"Name": "ecsInstanceRole"},
        }
        made: str = self.ec2.run_instances(**request | settings)["Instances"][0]["InstanceId"]
        return made

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance, and wait until it is."""
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        eventually(lambda: self.instance(instance_id)["State"]["Name"] == "terminated")

    def ready(self, instance_id: str) -> bool:
        """Whether its boot is complete: user data has been executed."""
        found = self.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        return [each["InstanceStatus"]["Status"] for each in found] == ["ok"]

    def instance(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][
            0
        ]
        return found

    def container_instance(self, instance_id: str) -> dict[str, Any]:
        arns = self.ecs.list_container_instances(cluster=self.cluster)["containerInstanceArns"]
        if not arns:
            return {}
        found = self.ecs.describe_container_instances(cluster=self.cluster, containerInstances=arns)[
            "containerInstances"
        ]
        return next((each for each in found if each.get("ec2InstanceId") == instance_id), {})

    def define(self, family: str, script: str, **settings: Any) -> None:
        """Register a task definition of one container in bridge mode."""
        container = {"name": "main", "image": self.image, "memory": 32, "command": ["sh", "-c", script], **settings}
        self.ecs.register_task_definition(family=family, containerDefinitions=[container])

    def run(self, family: str, script: str, **settings: Any) -> str:
        """Run a task of one container in bridge mode; its ARN."""
        self.define(family, script, **settings)
        answer = self.ecs.run_task(cluster=self.cluster, taskDefinition=family)
        assert not answer["failures"], answer["failures"]
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def task(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_tasks(cluster=self.cluster, tasks=[arn])["tasks"][0]
        return found

    def running(self, arn: str) -> dict[str, Any]:
        """The task, once it runs."""
        status = eventually(lambda: (s := self.task(arn)["lastStatus"]) in ("RUNNING", "STOPPED") and s)
        assert status == "RUNNING", self.task(arn)
        return self.task(arn)

    def stop(self, arn: str) -> dict[str, Any]:
        """The task, once StopTask has ended it."""
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        return self.stopped(arn)

    def stopped(self, arn: str) -> dict[str, Any]:
        """The task, once it has stopped."""
        eventually(lambda: self.task(arn)["lastStatus"] == "STOPPED")
        return self.task(arn)

    def init(self, instance_id: str) -> int:
        """The process id of an instance's process 1, as this machine counts."""
        run = Place(self.platform.state_dir / "instances", instance_id).run()
        assert run is not None
        return run.pid

    def agent(self, instance_id: str) -> int:
        """The process id of an instance's agent, 0 where none runs."""
        namespace = os.readlink(f"/proc/{self.init(instance_id)}/ns/pid")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                mine = os.readlink(process / "ns" / "pid") == namespace
                if mine and b"dryport.agent.main" in (process / "cmdline").read_bytes():
                    return int(process.name)
            except OSError:
                continue  # it has ended meanwhile
        return 0

    def inside(self, instance_id: str, *command: str) -> str:
        """What a command says that is run in an instance, as its root."""
        done = subprocess.run(
            [*self.entering(instance_id), *command], capture_output=True, text=True, timeout=60, errors="replace"
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def entering(self, instance_id: str) -> list[str]:
        """What goes before a command that is to run in an instance."""
        return ["nsenter", "--target", str(self.init(instance_id)), "-m", "-u", "-i", "-n", "-p", "-C"]

    def containers(self, instance_id: str, name: str = "") -> dict[str, str]:
        """The running containers of an instance: task ARNs ("" where it is of no task) by container id.

        ``name``: only those that the task definition calls so.
        """
        only = ["--filter", f"label=com.amazonaws.ecs.container-name={name}"] if name else []
        form = '{{.ID}} {{.Label "com.amazonaws.ecs.task-arn"}}'
        shown = self.inside(instance_id, "docker", "ps", "--no-trunc", *only, "--format", form)
        return {line.partition(" ")[0]: line.partition(" ")[2] for line in shown.splitlines()}
