"""What the user may do in the cluster, by the API server's own word."""

from __future__ import annotations

from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden, NotFound


async def may(
    client: Client, verb: str, resource: str, *, group: str = "", namespace: str = "", name: str = ""
) -> bool:
    """Whether a request would be allowed (SelfSubjectAccessReview); True where the server does not say.

    ``resource`` is the plural, with a subresource as ``pods/log``; without ``namespace`` all of them are meant, without
    ``name`` any object.
    """
    attributes = {"verb": verb, "group": group, "namespace": namespace, "name": name}
    attributes["resource"], _, attributes["subresource"] = resource.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    try:
        answer = await client.request_json("POST", path, body=review, repeatable=True)
    except (Forbidden, NotFound):
        return True
    return bool((answer.get("status") or {}).get("allowed", True))
