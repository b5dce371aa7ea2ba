"""``loop.yaml`` to the model: parse, pick profiles, merge, put variables in, check, convert."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import msgspec

from innerloop.config import checking, format, nodes, profiles, sources, variables, yaml
from innerloop.config.conversion import Converter, as_list
from innerloop.config.files import find, read, shown
from innerloop.config.namespaces import check_namespace
from innerloop.config.nodes import Entry, Mapping, Node, Scalar
from innerloop.config.problems import Problems, suggestion
from innerloop.config.sources import Definitions
from innerloop.errors import Location, LoopError
from innerloop.project import Project, Variable

__all__ = ["Options", "environment_names", "find", "load"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the project."""

    profiles: tuple[str, ...] = ()
    set: dict[str, str] = {}
    context: str = ""
    namespace: str = ""
    """Wins over the environment's."""
    fallback_namespace: str = "default"
    """Where neither ``namespace`` nor the environment names one; empty: the environment must."""
    env: str | None = None
    """Name of an environment; with it ``.env``, which is the laptop's, is not read."""
    env_optional: bool = False
    """A project without that environment has just no file for it (dependencies)."""


class UnknownEnvironment(LoopError):
    """The project has no environment of that name."""


class _Head(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The sections that must be understood before the others can be read."""

    variables: dict[format.VariableName, str | None] = {}
    profiles: dict[format.Key, format.Profile] = {}
    environments: dict[format.Key, format.Environment] = {}


def load(file: Path, options: Options) -> Project:
    """The project of a file. Raises LoopError that tells all problems it could find, each with its place."""
    file = Path(os.path.abspath(file))
    base = _parse(file)
    names = _active_profiles(base, file, options)
    tree = profiles.apply(base, names)
    problems = Problems()
    head = _head(tree)
    definitions = _definitions(tree, head, file, options)
    scope = variables.resolve(definitions, partial(_missing, tree, head, file, options), problems)
    filled = _fill(tree, definitions, scope, problems)
    checked: format.File = checking.check(filled, format.File, problems)
    problems.check()
    namespace = scope["LOOP_NAMESPACE"].value
    if options.env and not namespace:
        where = nodes.place(tree, "environments", options.env)
        hint = f"give it one: environments.{options.env}.namespace"
        raise LoopError(f"environment {options.env} has no namespace", where=where, hint=hint)
    check_namespace(namespace, _place_of_namespace(tree, options))
    project = _convert(checked, file, dict(nodes.walk(filled)), problems)
    problems.check()
    return msgspec.structs.replace(
        project,
        profiles=names,
        variables=scope,
        files=_files(head, file, options),
        context=options.context,
        namespace=namespace,
        environment=options.env,
    )


def environment_names(file: Path) -> tuple[str, ...]:
    """The environments of a file, whatever values its variables have. Raises LoopError for what cannot be read."""
    return tuple(_head(_parse(Path(os.path.abspath(file)))).environments)


def _parse(file: Path) -> Mapping:
    tree = yaml.parse(read(file), shown(file))
    if not isinstance(tree, Mapping):
        where = tree.where if tree else Location(shown(file))
        raise LoopError("the file must be a mapping", where=where, hint="the least is a line 'name: shop'")
    return tree


def _active_profiles(tree: Mapping, file: Path, options: Options) -> tuple[str, ...]:
    """Chosen by the values that variables have without any profile."""
    head = _head(tree)
    values: dict[str, str] = {}
    if any(profile.when for profile in head.profiles.values()):
        # what is wrong with the variables is told after the merge, which may mend it
        missing = partial(_missing, tree, head, file, options)
        found = variables.resolve(_definitions(tree, head, file, options), missing, Problems())
        values = {name: variable.value for name, variable in found.items()}
    environment = head.environments.get(options.env or "")
    chosen = (*as_list(environment.profiles), *options.profiles) if environment else options.profiles
    return profiles.active(head.profiles, chosen, values)


def _head(tree: Mapping) -> _Head:
    entries = {key: entry for key, entry in tree.entries.items() if key in _Head.__struct_fields__}
    problems = Problems()
    head: _Head = checking.check(Mapping(entries, tree.where), _Head, problems)
    problems.check()
    return head


def _definitions(tree: Mapping, head: _Head, file: Path, options: Options) -> Definitions:
    declared = tree.get("variables")
    source = _variables_file(tree, head, file, options)
    found = sources.collect(declared if isinstance(declared, Mapping) else None, source, options.set)
    found["LOOP_CONTEXT"] = [sources.built_in(options.context)]
    found["LOOP_ENVIRONMENT"] = [sources.built_in(options.env or "")]
    found["LOOP_NAMESPACE"] = [_namespace(tree, options)]
    return found


def _variables_file(tree: Mapping, head: _Head, file: Path, options: Options) -> Path | None:
    """The environment's file, or ``.env`` where no environment is asked for."""
    if options.env is None:
        laptop = file.parent / ".env"
        return laptop if laptop.is_file() else None
    if options.env not in head.environments:
        if options.env_optional:
            return None
        hint = suggestion(options.env, head.environments) or "loop.yaml has no environments"
        raise UnknownEnvironment(f"no environment '{options.env}'", hint=hint)
    found = _environment_file(head, file, options.env)
    if found is not None and not found.is_file():
        where = nodes.place(tree, "environments", options.env, "variables")
        raise LoopError(f"the environment's file {shown(found)} does not exist", where=where)
    return found


def _environment_file(head: _Head, file: Path, name: str) -> Path | None:
    environment = head.environments.get(name)
    path = environment.variables if environment else None
    return Path(os.path.normpath(file.parent / path)) if path else None


def _namespace(tree: Mapping, options: Options) -> variables.Definition:
    node = _environments_namespace(tree, options)
    if node is None:
        return sources.built_in(options.namespace or options.fallback_namespace)
    return sources.built_in(node.text)._replace(scalar=node, literal=False)


def _place_of_namespace(tree: Mapping, options: Options) -> Location | None:
    node = _environments_namespace(tree, options)
    return node.where if node else None


def _environments_namespace(tree: Mapping, options: Options) -> Scalar | None:
    """The environment's, where that is what counts."""
    if options.namespace or not options.env:
        return None
    node = nodes.find(tree, "environments", options.env, "namespace")
    return node if isinstance(node, Scalar) else None


def _missing(tree: Mapping, head: _Head, file: Path, options: Options, name: str) -> LoopError:
    hint = f"export {name}, or pass --set {name}=…"
    if options.env is None:
        target = shown(file.parent / ".env")
        if template := _environment_template(file.parent):
            hint = f"{hint}; to begin with: cp {shown(template)} {target}"
    else:
        path = _environment_file(head, file, options.env)
        target = shown(path) if path else f"a file named by environments.{options.env}.variables"
    return LoopError(
        f"variable {name} has no value",
        where=nodes.place(tree, "variables", name),
        hint=f"put {name}=… into {target}, {hint}",
    )


def _environment_template(folder: Path) -> Path | None:
    """What a clone has instead of its own .env."""
    if (folder / ".env").exists():
        return None
    names = (f".env.{suffix}" for suffix in ("template", "example", "sample"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _fill(tree: Mapping, names: Definitions, scope: dict[str, Variable], problems: Problems) -> Mapping:
    """The tree with variables put in everywhere but in the sections that define them."""

    def value(name: str) -> str:
        # without a value it was told already
        return scope[name].value if name in scope else ""

    def change(scalar: Scalar) -> str:
        try:
            return variables.replace(scalar.text, value, names, scalar.place)
        except LoopError as error:
            problems.append(error)
            return scalar.text

    def filled(key: str, node: Node) -> Node:
        return node if key in ("variables", "profiles") else nodes.replace_text(node, change)

    entries = {key: Entry(entry.where, filled(key, entry.node)) for key, entry in tree.entries.items()}
    return Mapping(entries, tree.where)


def _convert(checked: format.File, file: Path, places: dict[str, Location], problems: Problems) -> Project:
    convert = Converter(file.parent, checked.name, places, problems)
    images = convert.images(checked.images)
    dev = convert.dev(checked.dev, images)
    convert.check_rebuilds(dev.values(), images)
    return Project(
        name=checked.name,
        file=file,
        folder=file.parent,
        images=images,
        manifests=convert.manifests(checked.manifests),
        dev=dev,
        dependencies=convert.dependencies(checked.dependencies),
        hooks={point: tuple(as_list(commands)) for point, commands in checked.hooks.items()},
        commands=convert.commands(checked.commands),
        plugins=tuple(convert.path(plugin) for plugin in as_list(checked.plugins)),
        environments=convert.environments(checked.environments),
        gitops=convert.gitops(checked.gitops),
        locations=places,
    )


def _files(head: _Head, file: Path, options: Options) -> tuple[Path, ...]:
    if options.env is None:
        return file, file.parent / ".env"
    path = _environment_file(head, file, options.env)
    return (file, path) if path else (file,)
