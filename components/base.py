"""What every component of the platform stands on: the base class and the options its children get."""

import re
from typing import Any, ClassVar

import pulumi

TOKEN_FORM = re.compile(r"^zerotrust:[a-z][a-z0-9-]*:[A-Z][A-Za-z0-9]*$")


class Component(pulumi.ComponentResource):
    """A component whose type token is a literal in the class statement.

    ``class Vpc(Component, token="zerotrust:network:Vpc")``. Children are named ``f"{name}-<role>"`` and get
    ``self.child()`` as options. The caller's ``opts`` are never merged into a child: its aliases would be copied.

    Raises:
        TypeError: at class creation, for a missing or malformed token.
    """

    token: ClassVar[str]

    def __init_subclass__(cls, *, token: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if token is None or not TOKEN_FORM.match(token):
            msg = f"{cls.__name__}: token {token!r} is not of the form zerotrust:<layer>:<Kind>"
            raise TypeError(msg)
        cls.token = token

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.token, name, {}, opts)

    def child(self, **options: Any) -> pulumi.ResourceOptions:
        """Options of a child: ``parent=self`` and nothing of the caller's but what is named here."""
        return pulumi.ResourceOptions(parent=self, **options)
