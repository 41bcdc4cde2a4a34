"""Lets mkdocstrings show the native module: signatures from its stub, texts from the built module."""

from __future__ import annotations

import importlib
from inspect import cleandoc
from typing import Any

from griffe import Alias, Class, Docstring, Extension, Function, Module, Parameters

NATIVE = "_native"


class NativeDocstrings(Extension):
    """Gives what the stub of `maskgrid._native` declares the docstrings that the built module has."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Called by griffe when a package has been read."""
        if pkg.name == "maskgrid" and NATIVE in pkg.members:
            describe(pkg.members[NATIVE], importlib.import_module(f"maskgrid.{NATIVE}"))


def describe(found: Any, real: Any) -> None:
    """Copies the docstrings of all that is in a module or class; classes are called as their `__new__`."""
    for name, member in found.members.items():
        if isinstance(member, Alias) or not hasattr(real, name):
            continue
        value = getattr(real, name)
        text = getattr(value, "__doc__", None) or ""
        own = text != (getattr(type(value), "__doc__", None) or "")
        if own and member.docstring is None and not name.startswith("__"):
            member.docstring = Docstring(cleandoc(text), parent=member, parser="google")
        if isinstance(member, Class):
            describe(member, value)
    if isinstance(found, Class) and "__new__" in found.members and "__init__" not in found.members:
        found.set_member("__init__", _called_as(found))


def _called_as(found: Class) -> Function:
    """`__init__` with the parameters of `__new__`, which is where mkdocstrings looks for them."""
    first, *others = found.functions["__new__"].parameters
    first.name = "self"
    return Function("__init__", parameters=Parameters(first, *others), parent=found)
