"""Secrets in the templates that a layout shows beside what was rendered."""

from __future__ import annotations

import asyncio

import pytest

from innerloop.gitops.gates import plain_template
from innerloop.gitops.gates.checking import check
from innerloop.project import Layout
from tests.gitops.gates.rendered import project, rendered

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2}\n"
GENERATOR = "secretGenerator: [{name: db, envs: [db.env]}]\n"


def found(**templates: str) -> list[tuple[str, str]]:
    paths = {name.replace("__", "/").replace("_", "."): text.encode() for name, text in templates.items()}
    return [(one.object, one.message) for one in plain_template.findings(paths)]


def test_a_secret_in_a_template_is_told() -> None:
    assert found(deploy__db_yaml=SECRET) == [
        ("Template/deploy/db.yaml", "in the templates: anyone who reads the repository can read stringData.password")
    ]


@pytest.mark.parametrize(
    "text",
    [
        SECRET.replace("hunter2", "'{{ .Values.password }}'"),
        SECRET.replace("hunter2", "{{ .Values.password }}"),
        SECRET.replace("hunter2", "'${PASSWORD}'"),
        SECRET.replace("Secret", "ConfigMap"),
        "{{- if .Values.secret }}\n" + SECRET + "{{- end }}\n",
    ],
)
def test_a_template_without_a_readable_value_passes(text: str) -> None:
    assert found(deploy__db_yaml=text) == []


def test_a_generator_of_secrets_with_literals_is_told() -> None:
    ((_, message),) = found(kustomization_yaml="secretGenerator: [{name: db, literals: [password=hunter2]}]\n")
    assert message == "in the templates: the generator of Secret db has its values in literals"


def test_a_generator_of_secrets_from_a_readable_file_is_told() -> None:
    ((name, message),) = found(base__kustomization_yaml=GENERATOR, base__db_env="password=hunter2\n")
    assert name == "Template/base/kustomization.yaml"
    assert message.endswith("has its values in base/db.env")


def test_a_generator_of_secrets_from_an_encrypted_file_passes() -> None:
    encrypted = "password=ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops_version=3.9.0\n"
    assert found(base__kustomization_yaml=GENERATOR, base__db_env=encrypted) == []


def test_a_private_key_in_any_file_is_told() -> None:
    ((_, message),) = found(chart__files__id_rsa="-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert message == "in the templates: it has a private key"


@pytest.mark.parametrize(("layout", "count"), [("cluster", 1), ("folder", 0), ("branch", 0)])
def test_templates_count_where_the_layout_shows_them(layout: Layout, count: int) -> None:
    filled = rendered([])._replace(templates={"db.yaml": SECRET.encode()})
    assert len(asyncio.run(check(filled, project({"layout": layout}), emit=lambda _: None))) == count
