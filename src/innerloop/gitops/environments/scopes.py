"""Which kinds of objects are cluster-wide, without a cluster to ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from innerloop.config.files import read, shown
from innerloop.errors import LoopError
from innerloop.manifest import Manifest
from innerloop.render.documents import chunks, manifests_of
from innerloop.render.files import SUFFIXES

Kind = tuple[str, str]
"""API group (empty for core) and kind."""

_KUBERNETES = {
    "": "ComponentStatus Namespace Node PersistentVolume",
    "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"
    " MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
    " ValidatingWebhookConfiguration",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "authentication.k8s.io": "SelfSubjectReview TokenReview",
    "authorization.k8s.io": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "certificates.k8s.io": "CertificateSigningRequest ClusterTrustBundle",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "internal.apiserver.k8s.io": "StorageVersion",
    "networking.k8s.io": "IPAddress IngressClass ServiceCIDR",
    "node.k8s.io": "RuntimeClass",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io": "DeviceClass DeviceTaintRule ResourceClass ResourcePoolStatusRequest ResourceSlice",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
    "storagemigration.k8s.io": "StorageVersionMigration",
}
"""Of all versions that are in use: a test compares it with what the gates know of each."""

_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")


def cluster_wide_kinds(manifests: Iterable[Manifest] = (), schemas: Iterable[Path] = ()) -> frozenset[Kind]:
    """Kubernetes' own cluster-wide kinds, and those that CustomResourceDefinitions say are.

    These are looked for among the manifests, and in files and folders for the kinds of the manifests that name no
    namespace. Raises LoopError with the place of what cannot be read.
    """
    manifests = list(manifests)
    known = {(group, kind) for group, kinds in _KUBERNETES.items() for kind in kinds.split()}
    wanted = {_kind(one) for one in manifests if not one.namespace and "." in one.key.group} - known
    definitions = (one for path in schemas for file in _files(path) for one in _definitions(file, wanted))
    return frozenset(known | {kind for one in (*manifests, *definitions) if (kind := _defined(one))})


def _kind(manifest: Manifest) -> Kind:
    return manifest.key.group, manifest.kind


def _definitions(file: Path, wanted: Iterable[Kind]) -> Iterator[Manifest]:
    text = read(file)
    for chunk in chunks(text):
        # definitions are long, and operators bring dozens
        if any(kind in chunk.text and group in chunk.text for group, kind in wanted):
            yield from manifests_of(chunk, shown(file), "", last_wins=True)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise LoopError(f"{shown(path)} does not exist", hint="gitops.schemas names files or folders")
    return sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES) if path.is_dir() else [path]


def _defined(manifest: Manifest) -> Kind | None:
    """The kind that a CustomResourceDefinition makes cluster-wide."""
    if _kind(manifest) != _DEFINITION:
        return None
    spec = manifest.object.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict) or spec.get("scope") != "Cluster":
        return None
    return str(spec.get("group")), str(names.get("kind"))
