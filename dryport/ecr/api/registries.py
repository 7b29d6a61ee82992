"""The registry itself: authorization tokens, its description, and that no repository has a policy yet."""

from __future__ import annotations

import base64

from dryport.ecr import published, tokens
from dryport.ecr.api.operations import Request, operation
from dryport.ecr.contents import Contents
from dryport.ecr.names import registry_host
from dryport.gateway.service import Call, Output


@operation("GetAuthorizationToken")
def get_authorization_token(contents: Contents, call: Call, request: Request) -> Output:
    password = published.authorization_token(call.tx, call.random, call.principal, call.region, call.now)
    token = base64.b64encode(f"{tokens.USER}:{password}".encode()).decode()
    port = contents.context.config.port
    return {
        "authorizationData": [
            {
                "authorizationToken": token,
                "expiresAt": call.now + tokens.TOKEN_SECONDS,
                "proxyEndpoint": f"http://{registry_host(account, call.region, port)}",
            }
            for account in request.get("registryIds", [call.account])
        ]
    }


@operation("DescribeRegistry")
def describe_registry(contents: Contents, call: Call, request: Request) -> Output:
    return {"registryId": call.account, "replicationConfiguration": {"rules": []}}
