"""The checked file to the model: short forms spelled out, paths absolute, cross references checked."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from innerloop import project as model
from innerloop.config import format
from innerloop.config.ports import parse_forward
from innerloop.config.problems import Problems, suggestion
from innerloop.errors import Location, LoopError

MANIFEST_KINDS = ("helm", "kustomize", "files", "renderer")
ACTION_KINDS = ("exec", "run", "signal")
DEPENDENCY_KINDS = (*MANIFEST_KINDS, "path", "git")


class Converter:
    """One file's folder, places and problems; each method turns one kind of section into its model."""

    def __init__(self, folder: Path, name: str, places: dict[str, Location], problems: Problems) -> None:
        self._folder = folder
        self._name = name
        self._places = places
        self._problems = problems

    def images(self, sections: dict[str, str | format.Image]) -> dict[str, model.Image]:
        found = {name: self._image(name, section) for name, section in sections.items()}
        first: dict[str, str] = {}
        for name, image in found.items():
            # manifests name images by their repository
            if (other := first.setdefault(image.repository, name)) != name:
                message = f"images.{name} and images.{other} are both {image.repository} in the manifests"
                self._problem(message, f"images.{name}", "give one of them another name by 'image'")
        return found

    def manifests(self, sections: list[format.ManifestEntry]) -> tuple[model.ManifestSource, ...]:
        found = (self._source(section, f"manifests.{number}", self._name) for number, section in enumerate(sections))
        return tuple(source for source in found if source is not None)

    def dev(self, sections: dict[str, format.Dev], images: Iterable[str]) -> dict[str, model.DevTarget]:
        known = list(images)
        return {name: self._dev_target(name, section, known) for name, section in sections.items()}

    def check_rebuilds(self, targets: Iterable[model.DevTarget], images: dict[str, model.Image]) -> None:
        """Tell targets whose ``rebuild`` no build could heed."""
        for target in (target for target in targets if target.rebuild and target.sync):
            path, image = f"dev.{target.name}.rebuild", images.get(target.image or "")
            if target.selector:
                self._problem(f"{path} means nothing beside 'selector'", path, "name the image to build with 'image'")
            elif image and not any(
                one.local == image.context or image.context in one.local.parents for one in target.sync
            ):
                told = f"{path}: no synced folder is in the context of the image {image.name}, {image.context}"
                self._problem(told, path, "a build would not see the files; sync a folder of the context")

    def dependencies(self, sections: dict[str, format.DependencyEntry]) -> dict[str, model.Dependency]:
        found = {name: self._dependency(name, section) for name, section in sections.items()}
        return {name: dependency for name, dependency in found.items() if dependency}

    def commands(self, sections: dict[str, str | format.Command]) -> dict[str, model.Command]:
        return {
            name: model.Command(name=name, run=section)
            if isinstance(section, str)
            else model.Command(name=name, run=section.run, description=section.description)
            for name, section in sections.items()
        }

    def environments(self, sections: dict[str, format.Environment]) -> dict[str, model.Environment]:
        return {
            name: model.Environment(
                name=name,
                variables=self.path(section.variables) if section.variables else None,
                namespace=section.namespace,
                profiles=tuple(as_list(section.profiles)),
                cluster=section.cluster,
                labels=section.labels,
            )
            for name, section in sections.items()
        }

    def gitops(self, section: format.GitOps | None) -> model.GitOps | None:
        if section is None:
            return None
        return model.GitOps(
            repository=self._address(section.repository),
            branch=section.branch,
            layout=section.layout,
            files=section.files,
            forge=section.forge,
            reviewers=tuple(as_list(section.reviewers)),
            labels=tuple(as_list(section.labels)),
            policies=self.path(section.policies) if section.policies else None,
            schemas=tuple(self.path(schema) for schema in as_list(section.schemas)),
            kubernetes=section.kubernetes,
            allow=tuple(model.Exemption(gate=one.gate, object=one.object, reason=one.reason) for one in section.allow),
        )

    def path(self, text: str) -> Path:
        """Absolute, ``..`` resolved by text only: what a symlink hides is the user's business."""
        return Path(os.path.normpath(self._folder / text))

    def _image(self, name: str, section: str | format.Image) -> model.Image:
        if isinstance(section, str):
            section = format.Image(context=section)
        context = self.path(section.context)
        return model.Image(
            name=name,
            repository=section.image or name,
            context=context,
            dockerfile=Path(os.path.normpath(context / section.dockerfile)),
            target=section.target,
            args=section.args,
            secrets={secret: self.path(file) for secret, file in section.secrets.items()},
            platform=section.platform,
            builder=section.builder,
            command=section.command,
        )

    def _source(self, section: format.Source, path: str, release: str) -> model.ManifestSource | None:
        kind = self._one_of(section, MANIFEST_KINDS, path)
        if kind is None:
            return None
        self._forbid_others(section, kind, path)
        if section.helm is not None:
            return self._helm(section, section.helm, release)
        if section.renderer is not None:
            return model.PluginSource(renderer=section.renderer, options=section.options)
        if section.kustomize is not None:
            substitute = {} if not isinstance(section.substitute, list) else {"substitute": tuple(section.substitute)}
            return model.KustomizeSource(path=self.path(section.kustomize), **substitute)
        pattern = os.path.normpath(self._folder / (section.files or ""))
        return model.FilesSource(pattern=pattern, substitute=section.substitute is not False)

    def _helm(self, section: format.Source, chart: str, release: str) -> model.HelmSource:
        remote = section.repo is not None or "://" in chart
        return model.HelmSource(
            chart=chart if remote else str(self.path(chart)),
            repo=section.repo,
            version=section.version,
            release=section.release or release,
            values=tuple(self.path(file) for file in as_list(section.values)),
            set=section.set,
            namespace=section.namespace,
        )

    def _dependency(self, name: str, section: format.DependencyEntry) -> model.Dependency | None:
        path = f"dependencies.{name}"
        kind = self._one_of(section, DEPENDENCY_KINDS, path)
        if kind is None:
            return None
        self._forbid_others(section, kind, path)
        source: model.ManifestSource | model.ProjectReference | None
        if kind in ("path", "git"):
            source = model.ProjectReference(
                path=self.path(section.path) if section.path else None,
                git=self._address(section.git) if section.git else None,
                ref=section.ref,
                folder=section.folder or "",
                profiles=tuple(as_list(section.profiles)),
                variables=section.variables,
            )
        else:
            source = self._source(section, path, name)
        return model.Dependency(name=name, source=source, namespace=section.namespace) if source else None

    def _address(self, git: str) -> str:
        """A relative path to a repository counts from the file, as all paths do."""
        return str(self.path(git)) if git.startswith(("./", "../")) else git

    def _dev_target(self, name: str, section: format.Dev, images: list[str]) -> model.DevTarget:
        path = f"dev.{name}"
        image = section.image if section.image or section.selector else name
        if section.image and section.selector:
            self._problem(f"{path} has both 'image' and 'selector'", f"{path}.selector", "keep one of the two")
        elif image is not None and image not in images:
            hint = suggestion(image, images) if section.image else "name one with 'image', or pods with 'selector'"
            self._problem(f"{path}: images has no '{image}'", f"{path}.image", hint)
        for key in ("actions", "rebuild"):
            if getattr(section, key) and not section.sync:
                self._problem(f"{path}.{key} means nothing without 'sync'", f"{path}.{key}", None)
        return model.DevTarget(
            name=name,
            image=image,
            selector=section.selector,
            container=section.container,
            sync=tuple(self._each(section.sync, f"{path}.sync", self._sync_path)),
            command=self._split(section.command, f"{path}.command"),
            working_dir=section.working_dir,
            env=section.env,
            restart=tuple(as_list(section.restart)),
            rebuild=tuple(as_list(section.rebuild)),
            actions=tuple(self._actions(section.actions, f"{path}.actions")),
            ports=tuple(self._each(section.ports, f"{path}.ports", self._port)),
            open=section.open,
        )

    def _sync_path(self, entry: str | format.SyncEntry) -> model.SyncPath:
        if isinstance(entry, str):
            local, _, remote = entry.partition(":")
            if not local or not remote:
                raise LoopError(f"'{entry}' is not LOCAL:REMOTE", hint="for instance web:/app")
            entry = format.SyncEntry(local=local, remote=remote)
        if not entry.remote.startswith("/"):
            raise LoopError(f"'{entry.remote}' is no absolute path in the container", hint=f"write /{entry.remote}")
        return model.SyncPath(
            local=self.path(entry.local),
            remote=entry.remote,
            exclude=tuple(as_list(entry.exclude)),
            exclude_upload=tuple(as_list(entry.exclude_upload)),
            exclude_download=tuple(as_list(entry.exclude_download)),
            direction=entry.direction,
            initial=_strategy(entry),
        )

    def _actions(self, entries: list[format.ActionEntry], path: str) -> Iterator[model.SyncAction]:
        for number, entry in enumerate(entries):
            place = f"{path}.{number}"
            given = [kind for kind in ACTION_KINDS if getattr(entry, kind) not in (None, [], "")]
            if len(given) != 1:
                what = "has none of" if not given else "has more than one of"
                self._problem(f"{place} {what} {', '.join(ACTION_KINDS)}", place, "give exactly one")
            name = (entry.signal or "").upper().removeprefix("SIG")
            if name and name not in model.LINUX_SIGNALS:
                hint = suggestion(name, model.LINUX_SIGNALS)
                self._problem(f"{place}: there is no signal '{entry.signal}'", f"{place}.signal", hint)
            if not any(as_list(entry.files)):
                self._problem(f"{place} names no files", f"{place}.files", "'**' stands for all")
            yield model.SyncAction(
                files=tuple(as_list(entry.files)),
                exec=self._split(entry.exec, f"{place}.exec"),
                run=entry.run,
                signal=name or None,
            )

    def _port(self, entry: str | int | format.PortEntry) -> model.PortForward:
        if isinstance(entry, format.PortEntry):
            local = entry.local or entry.remote
            return model.PortForward(local=local, remote=entry.remote, address=entry.address)
        return parse_forward(str(entry))

    def _split(self, command: str | list[str], path: str) -> tuple[str, ...]:
        if isinstance(command, list):
            return tuple(command)
        try:
            return tuple(shlex.split(command))
        except ValueError as error:
            self._problem(f"{path}: {str(error).lower()}", path, "quote it as for a shell")
            return ()

    def _each(self, value: Any, path: str, convert: Any) -> list[Any]:
        entries = value if isinstance(value, list) else [value]
        found = []
        for number, entry in enumerate(entries):
            place = f"{path}.{number}" if isinstance(value, list) else path
            try:
                found.append(convert(entry))
            except LoopError as error:
                self._problem(error.message, place, error.hint)
        return found

    def _one_of(self, section: format.Source, kinds: tuple[str, ...], path: str) -> str | None:
        given = [kind for kind in kinds if getattr(section, kind) is not None]
        if len(given) == 1:
            return given[0]
        if given:
            first, second = given[:2]
            self._problem(f"{path} has both '{first}' and '{second}'", f"{path}.{second}", "keep one of the two")
        else:
            self._problem(f"{path} has none of {', '.join(kinds)}", path, "give exactly one")
        return None

    def _forbid_others(self, section: format.Source, kind: str, path: str) -> None:
        for field in section.__struct_fields__:
            fits = _KINDS_OF_FIELD.get(field)
            if fits and kind not in fits and getattr(section, field) not in (None, [], {}):
                self._problem(f"'{field}' means nothing beside '{kind}'", f"{path}.{field}", None)

    def _problem(self, message: str, path: str, hint: str | None) -> None:
        while path and path not in self._places:
            path = path.rpartition(".")[0]
        self._problems.add(message, self._places.get(path, Location("")), hint=hint)


_KINDS_OF_FIELD = {
    **dict.fromkeys(("repo", "version", "release", "values", "set"), ("helm",)),
    "options": ("renderer",),
    "substitute": ("kustomize", "files"),
    "ref": ("git",),
    **dict.fromkeys(("folder", "profiles", "variables"), ("git", "path")),
}


def _strategy(entry: format.SyncEntry) -> model.Strategy:
    """The given one, checked: a strategy that changes a side must be allowed to.

    Raises LoopError when the direction carries nothing to the side that it would change.
    """
    if entry.initial is None:
        return "preferRemote" if entry.direction == "download" else "preferLocal"
    needs = {"mirrorLocal": "upload", "mirrorRemote": "download", "preferRemote": "download"}.get(entry.initial)
    if needs and entry.direction not in (needs, "both"):
        raise LoopError(
            f"initial: {entry.initial} means nothing with direction: {entry.direction}",
            hint=f"write direction: {needs}, or both",
        )
    return entry.initial


def as_list(value: str | list[str]) -> list[str]:
    """A single text is a list of one."""
    return [value] if isinstance(value, str) else value
