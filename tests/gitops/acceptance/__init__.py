"""The way of a change from a laptop to an environment, in ten steps, each by the real command line.

A project is cloned over HTTP from a forge that speaks GitHub's API, and is promoted to a GitOps repository there, which
Argo CD's own controllers follow. A step has one test here, named after it; what it stands on is tested in depth where
its parts are.

| step | here, in | what it shows | in depth, in `tests/` |
|---|---|---|---|
| 1 | `test_clusters` | deployed twice, the second title; a clean checkout | `e2e/test_dev` |
| 2 | `test_pull_requests` | the laptop renders what a pipeline promotes | `environments/test_same_bytes` |
| 3 | `test_pull_requests` | one pull request, the same again, none | `gitops/test_promotion` |
| 4 | `test_clusters` | merged, applied, told on both commits, and on to stage | `gitops/agents/test_applied` |
| 5 | `test_clusters` | the same by a squash | `gitops/agents/test_applied` |
| 6 | `test_pull_requests` | a final status of an overtaken commit | `gitops/test_status` |
| 7 | `test_pull_requests` | a rollback that is not undone silently | `gitops/test_rollbacks` |
| 8 | `test_clusters` | what the templates lack goes from repository and cluster | `gitops/test_promotion` |
| 9 | `test_pull_requests` | a plaintext Secret stops it | `gitops/gates/test_plain_secret` |
| 10 | `test_clusters` | a session is not undone; a killed one is ended | `gitops/agents/test_sessions` |

With Flux in place of Argo CD, steps 4, 5 and 10 are `gitops/agents/test_applied_with_flux` and `test_truce_with_flux`.
"""
