"""How a request says who sends it."""

from __future__ import annotations

import base64
from typing import Literal, Self
from urllib.parse import urlencode

from pydantic import Field, model_validator

from ingest.config import Secret, Settings


class AuthSettings(Settings):
    """What goes along with each request."""

    type: Literal["none", "bearer", "basic", "header", "query"] = Field(
        "none",
        description="`bearer` and `basic` are the header `Authorization`; `header` is a header of another name, "
        "`query` a parameter of the URL.",
    )
    secret: Secret | None = Field(None, description="The token, or for `basic` `user:password`.")
    name: str | None = Field(None, description="Of `header` and `query`: the name of the header or parameter.")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.type != "none" and not self._secret:
            raise ValueError(f"auth of type {self.type} needs a secret that is not empty")
        if self.type == "basic" and ":" not in self._secret:
            raise ValueError("the secret of basic auth is written user:password")
        if (self.type in ("header", "query")) != bool(self.name):
            raise ValueError("`name` goes with the types header and query, and only with them")
        return self

    def headers(self) -> dict[str, str]:
        """What the request's headers need."""
        if self.type == "bearer":
            return {"Authorization": f"Bearer {self._secret}"}
        if self.type == "basic":
            return {"Authorization": "Basic " + base64.b64encode(self._secret.encode()).decode()}
        return {str(self.name): self._secret} if self.type == "header" else {}

    def url(self, url: str) -> str:
        """The request's URL, with what it needs."""
        if self.type != "query":
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode({str(self.name): self._secret})}"

    @property
    def _secret(self) -> str:
        return self.secret.get_secret_value() if self.secret is not None else ""
