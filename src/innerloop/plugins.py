"""Python plugins of a project: functions registered on hook points, as renderers, builders or commands.

A plugin is a file that ``plugins:`` names. It runs in a module of its own each time the project is loaded, and its
decorators register with that project only. Functions may be plain or async; plain ones run in a thread, so that they
may take their time.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest
from innerloop.project import HOOK_POINTS, Image, PluginSource, Project

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


class Plugins:
    """What the plugins of one project registered."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self.hooks: dict[str, list[Function]] = {}
        self.renderers: dict[str, Function] = {}
        self.builders: dict[str, Function] = {}
        self.commands: dict[str, Function] = {}
        self._files = frozenset(str(file) for file in files)

    async def run(self, point: str, project: Project) -> None:
        """Call the functions of a hook point but ``after-render`` in order, each with the project."""
        for function in self.hooks.get(point, ()):
            await self._call(function, project)

    async def after_render(self, manifests: Sequence[Manifest], project: Project) -> list[Manifest]:
        """Pass the manifests through the functions of ``after-render``."""
        current = list(manifests)
        for function in self.hooks.get("after-render", ()):
            current = _manifests(await self._call(function, current, project), function)
        return current

    async def render(self, source: PluginSource, project: Project) -> list[Manifest]:
        """The manifests of a source, by the renderer it names. Raises LoopError when there is none of that name."""
        function = _named(self.renderers, source.renderer, "renderer")
        return _manifests(await self._call(function, source, project), function)

    async def build(self, image: Image, reference: str, project: Project) -> None:
        """Have the builder that the image names make ``reference``. Raises LoopError when there is none."""
        await self._call(_named(self.builders, image.builder or "", "builder"), image, reference, project)

    async def command(self, name: str, project: Project, arguments: Sequence[str]) -> int:
        """Run a command; what it returns is its exit code, None is 0."""
        code = await self._call(_named(self.commands, name, "command"), project, list(arguments))
        return code if isinstance(code, int) else 0

    async def _call(self, function: Function, *arguments: Any) -> Any:
        try:
            if inspect.iscoroutinefunction(function):
                return await function(*arguments)
            # not at the top: reading a project needs no event loop
            import asyncio

            return await asyncio.to_thread(function, *arguments)
        except LoopError:
            raise
        except Exception as error:
            # foreign code may raise anything; whose fault it is must be told
            raise _blame(error, self._files, _place(function)) from error


_loading: ContextVar[Plugins | None] = ContextVar("loading", default=None)


def load(project: Project) -> Plugins:
    """Run the project's plugin files. Raises LoopError with the place in the plugin for whatever they raise."""
    plugins = Plugins(project.plugins)
    token = _loading.set(plugins)
    try:
        for number, file in enumerate(project.plugins):
            _run(file, project.where(f"plugins.{number}"))
    finally:
        _loading.reset(token)
    return plugins


def hook(point: str) -> Callable[[F], F]:
    """Call the function at a hook point with ``(project)``; ``after-render`` with ``(manifests, project)``, and it
    returns the manifests."""
    if point not in HOOK_POINTS:
        near = difflib.get_close_matches(point, HOOK_POINTS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(HOOK_POINTS)}"
        raise LoopError(f"unknown hook point '{point}'", where=_caller(), hint=hint)

    def register(function: F) -> F:
        if plugins := _loading.get():
            plugins.hooks.setdefault(point, []).append(function)
        return function

    return register


def renderer(name: str) -> Callable[[F], F]:
    """Offer the function to ``manifests: [{renderer: NAME, options: …}]``: ``(source, project) -> manifests``."""
    return _registrar("renderers", name, _caller())


def builder(name: str) -> Callable[[F], F]:
    """Offer the function to images with ``builder: NAME``: ``(image, reference, project)``, makes ``reference``."""
    return _registrar("builders", name, _caller())


def command(name: str) -> Callable[[F], F]:
    """Offer the function as ``loop run NAME``: ``(project, arguments) -> exit code or None``."""
    return _registrar("commands", name, _caller())


def _registrar(kind: str, name: str, where: Location) -> Callable[[F], F]:
    def register(function: F) -> F:
        if plugins := _loading.get():
            registered: dict[str, Function] = getattr(plugins, kind)
            if name in registered:
                first = _place(registered[name])
                raise LoopError(f"'{name}' is registered twice in {kind}, first at {first}", where=where)
            registered[name] = function
        return function

    return register


def _run(file: Path, where: Location) -> None:
    try:
        code: CodeType = compile(file.read_bytes(), str(file), "exec")
    except OSError as error:
        raise LoopError(f"plugin {file} cannot be read: {error.strerror}", where=where) from error
    except (SyntaxError, ValueError) as error:
        line, column = (error.lineno, error.offset) if isinstance(error, SyntaxError) else (0, 0)
        raise LoopError(f"no Python: {error}", where=Location(str(file), line or 0, column or 0)) from error
    module = ModuleType(f"innerloop_plugin_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}")
    module.__file__ = str(file)
    # dataclasses, pickle and typing look their module up there; a second load replaces it
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except LoopError:
        raise
    except Exception as error:
        # foreign code may raise anything; whose fault it is must be told
        raise _blame(error, frozenset((str(file),)), Location(str(file))) from error


def _blame(error: Exception, files: frozenset[str], fallback: Location) -> LoopError:
    """The error as the plugin's, with the frames of the plugin only."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    where = Location(frames[-1].filename, frames[-1].lineno or 0) if frames else fallback
    detail = "".join(traceback.format_list(frames)).rstrip() or None
    return LoopError(f"the plugin failed: {type(error).__name__}: {error}", where=where, detail=detail)


def _manifests(result: Any, function: Function) -> list[Manifest]:
    if isinstance(result, (list, tuple)) and all(isinstance(item, Manifest) for item in result):
        return list(result)
    name = getattr(function, "__name__", "the function")
    hint = "end it with 'return manifests'" if result is None else None
    raise LoopError(f"{name} must return a list of manifests", where=_place(function), hint=hint)


def _named(functions: dict[str, Function], name: str, kind: str) -> Function:
    if name in functions:
        return functions[name]
    known = ", ".join(functions) or "none"
    hint = "docker and buildah need no plugin" if kind == "builder" else None
    raise LoopError(f"no plugin has a {kind} '{name}'", detail=f"Registered: {known}", hint=hint)


def _place(function: Function) -> Location:
    code = inspect.unwrap(function).__code__ if inspect.isfunction(function) else None
    return Location(code.co_filename, code.co_firstlineno) if code else Location("plugin")


def _caller() -> Location:
    frame = sys._getframe(2)
    return Location(frame.f_code.co_filename, frame.f_lineno)
