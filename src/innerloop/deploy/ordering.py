"""In which order kinds are applied; removing goes the other way round.

A phase starts when the one before it is through; inside a phase all objects go at once. What installers settled on
(helm's ``InstallOrder``, cli-utils' ``ordering``) in as few barriers as it takes.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    NAMESPACES = 0
    DEFINITIONS = 1
    """CustomResourceDefinitions; the phase ends when they are established."""
    ACCOUNTS = 2
    """What later objects are checked against at admission: accounts, roles (a binding to a role that is not there
    yet is refused to those who may not escalate), quotas, classes."""
    SETTINGS = 3
    WORKLOADS = 4
    OTHERS = 5
    """Custom resources and all that is not named here: after the workloads, which may be their operators, so that
    on the way back their finalizers are still served."""
    ENTRANCES = 6
    """What directs requests to workloads: before they run it would only cause errors."""


_KINDS: dict[Phase, dict[str, str]] = {
    Phase.NAMESPACES: {"": "Namespace"},
    Phase.DEFINITIONS: {"apiextensions.k8s.io": "CustomResourceDefinition"},
    Phase.ACCOUNTS: {
        "": "ServiceAccount ResourceQuota LimitRange",
        "rbac.authorization.k8s.io": "Role ClusterRole",
        "scheduling.k8s.io": "PriorityClass",
        "storage.k8s.io": "StorageClass",
        "node.k8s.io": "RuntimeClass",
    },
    Phase.SETTINGS: {
        "": "ConfigMap Secret Service Endpoints PersistentVolume PersistentVolumeClaim",
        "rbac.authorization.k8s.io": "RoleBinding ClusterRoleBinding",
        "networking.k8s.io": "NetworkPolicy",
        "discovery.k8s.io": "EndpointSlice",
        "policy": "PodDisruptionBudget",
    },
    Phase.WORKLOADS: {
        "": "Pod ReplicationController",
        "apps": "Deployment StatefulSet DaemonSet ReplicaSet",
        "batch": "Job CronJob",
    },
    Phase.ENTRANCES: {
        "networking.k8s.io": "Ingress IngressClass",
        "autoscaling": "HorizontalPodAutoscaler",
        "admissionregistration.k8s.io": "MutatingWebhookConfiguration ValidatingWebhookConfiguration"
        " ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
        " MutatingAdmissionPolicy MutatingAdmissionPolicyBinding",
        "apiregistration.k8s.io": "APIService",
    },
}

_PHASES = {
    (group, kind): phase
    for phase, groups in _KINDS.items()
    for group, kinds in groups.items()
    for kind in kinds.split()
}


def phase(group: str, kind: str) -> Phase:
    """The phase of a kind, by API group (empty for core) so that a custom kind of the same name is not confused."""
    return _PHASES.get((group, kind), Phase.OTHERS)
