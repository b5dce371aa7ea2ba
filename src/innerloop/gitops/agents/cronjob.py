"""Manifests that have the cluster itself end truces behind their time: for a platform team to install.

The job runs this same program, which needs nothing but what is written on the objects. It only sees what is expired:
processes of laptops are not its own.
"""

from __future__ import annotations

from innerloop import __version__

NAMESPACE = "innerloop"

_TEMPLATE = """\
# gives back to Argo CD and Flux what dev sessions held when they died, once their time is over
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: truce, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: innerloop-truce}}
rules:
  - apiGroups: [argoproj.io]
    resources: [applications, applicationsets]
    verbs: [get, list, patch]
  - apiGroups: [kustomize.toolkit.fluxcd.io, helm.toolkit.fluxcd.io]
    resources: [kustomizations, helmreleases]
    verbs: [get, list, patch]
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [get, list, delete]
  # to take out of live objects what a session had added; without it that is told, and left to their owners
  - apiGroups: ["", apps, batch, autoscaling, networking.k8s.io]
    resources: ["*"]
    verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: innerloop-truce}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: innerloop-truce}}
subjects: [{{kind: ServiceAccount, name: truce, namespace: {namespace}}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: truce, namespace: {namespace}}}
spec:
  schedule: "*/5 * * * *"
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: 240
      template:
        spec:
          serviceAccountName: truce
          restartPolicy: Never
          containers:
            - name: loop
              # any image that has loop {version}; this one gets it at each start
              image: python:3.12-slim
              command:
                - sh
                - -ec
                - |
                  pip install --quiet --no-cache-dir --target /tmp/loop innerloop=={version}
                  exec /tmp/loop/bin/loop doctor --resume
              env: [{{name: HOME, value: /tmp}}, {{name: PYTHONPATH, value: /tmp/loop}}]
              securityContext:
                runAsNonRoot: true
                runAsUser: 65534
                allowPrivilegeEscalation: false
                capabilities: {{drop: [ALL]}}
"""


def manifests() -> str:
    """YAML of the job, and of the account that it runs as."""
    return _TEMPLATE.format(namespace=NAMESPACE, version=__version__)
