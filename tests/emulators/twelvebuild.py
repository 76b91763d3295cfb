"""12Build on loopback. Only the contractor API's token call and addProject are documented; the rest is marked."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Record, Refused, Routes
from emulators.program import run
from emulators.server import Emulator
from emulators.tokens import TokenDesk, hex_token

Check = Callable[[str], bool]


def pattern(text: str) -> Check:
    """Whether the whole value matches."""
    compiled = re.compile(text)
    return lambda value: compiled.fullmatch(value) is not None


def anything(value: str) -> bool:
    return True


def is_name(value: str) -> bool:
    """Letters, digits, spaces, punctuation, maths signs, by their Unicode classes; at least one character."""
    classes = [unicodedata.category(character) for character in value]
    return bool(classes) and all(c[0] in "LNP" or c in ("Zs", "Sm") for c in classes)


SECTORS = "Bouw|Infra|Woningbouw|Utiliteitsbouw|Grondwerk|Wegenbouw|Waterbouw|Offshore Maritiem"
DATE = pattern("[0-9]{10}")
HOUR = pattern("[1-9]|1[0-9]|2[0-3]")
ADD_PROJECT: Mapping[str, Check] = {
    "name": is_name,
    "product": pattern("tender|none"),
    "companyGroupId": pattern("[0-9]+"),
    "phase": pattern("Calculatie|Inkoop|Uitvoering"),
    "phaseId": pattern("[0-9]+"),
    "classificationSystems": anything,
    **dict.fromkeys(("calcNumber", "status", "workNumber"), anything),
    **dict.fromkeys(("address_1", "address_2", "zip", "city", "country"), anything),
    "countryCode": pattern("[A-Za-z]{2}"),
    **dict.fromkeys(("client", "manager", "architect", "constructor"), anything),
    **dict.fromkeys(("calculator", "inkoper", "werkvoorbereider"), anything),
    **dict.fromkeys(("plannedStart", "plannedComplete"), anything),
    **dict.fromkeys(("deadlineDate", "questionsDate", "updateDate", "tenderDate", "inspectionDate"), DATE),
    **dict.fromkeys(("questionsTime", "updateTime"), HOUR),
    "reason": pattern("prijsopgave|aanbesteding|start van het inkooptraject"),
    "buildingSectors": pattern(f"({SECTORS})(,({SECTORS}))*"),
}
GET_TOKEN: Mapping[str, Check] = {"login": anything, "apiKey": anything, "forceNew": pattern("0|1")}
# Made up, to have a POST that reads.
SEARCH_PROJECTS: Mapping[str, Check] = {"city": anything, "status": anything, "largest": pattern("[0-9]+")}


@attrs.define(eq=False, kw_only=True, slots=False)
class TwelveBuild(Emulator):
    """12Build: `url` stands for `https://app.12build.com`; `root_url` adds the locale and the version."""

    root: str = r"/[a-z]{2}(?:_[A-Z]{2})?/rest/(?:1\.1|bs_1\.0)(?:/api)?"
    """What every path begins with, as a regular expression. The base URL is not documented."""
    api_key: str = "key-of-an-api-user"
    login: str = "planner@builder.example"
    login_required: bool = True
    """The contractor page requires it, the subcontractors' guide does not name it."""
    encoding: Literal["form", "query", "json"] = "form"
    """How the vendor reads the parameters of a POST: which of the three is not documented."""
    data: Path | None = None
    """JSON Lines of projects to start with."""
    projects: int = 3

    token_seconds: float = 3600.0
    expire_after_calls: int | None = None
    expire_date: bool = True
    """Whether the token's answer has `expireDate`."""
    announced_seconds: float | None = None
    """The life that `expireDate` tells, when that is not the true one."""
    new_token_ends_old: bool = False  # not documented
    hands_out_refused: bool = False
    """Without forceNew, a token of less than an hour comes back even when it is refused by now (not documented)."""
    unauthorised_status: int = 401  # assumed, for bad keys and for refused tokens
    validation_status: int = 400  # assumed, for missing and unknown parameters and for patterns not met
    group_manager: bool = False
    """Whether the API user may add projects of product `none`."""
    phases_as: Literal["array", "object"] = "array"  # not documented

    stored: dict[str, Record] = attrs.field(init=False, factory=dict)
    """Projects by id."""
    tokens: TokenDesk = attrs.field(init=False, factory=TokenDesk)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        for number in range(0 if self.data else self.projects):
            self._store({"name": f"Bridge {number}", "city": ("Delft", "Gent")[number % 2], "status": "open"})
        for line in self.data.read_text(encoding="utf-8").splitlines() if self.data else ():
            self._store(json.loads(line))
        self._routes.add("GET /project/phases/", self._phases)
        self._routes.add("POST /project", self._add_project)
        self._routes.add("GET /project/{id}", self._get_project)  # made up: a function with a template parameter
        self._routes.add("POST /project/search", self._search_projects)  # made up: a POST that reads

    @property
    def root_url(self) -> str:
        """The base of the calls as the public hints have it."""
        return f"{self.url}/nl/rest/bs_1.0"

    def revoke(self) -> None:
        """Refuse every token handed out so far."""
        with self._state:
            self.tokens.revoke()

    def counters(self) -> dict[str, Any]:
        return super().counters() | {"tokens": len(self.tokens.tokens), "projects": len(self.stored)}

    def answer(self, ask: Ask) -> Answer:
        match = re.match(f"{self.root}(?=/)", ask.path)
        if match is None:
            raise no(404, "unknown path")
        path = ask.path[match.end() :]
        if path == "/tokens":
            if ask.method != "POST":
                raise no(405, "getToken is a POST")
            return self._get_token(ask)
        self._check_token(ask)
        try:
            act, values = self._routes.find(ask.method, path)
        except NoRoute as missing:
            raise no(405 if missing.allowed else 404, "unknown function") from None
        if ask.method == "GET" and ask.query:
            raise no(self.validation_status, "template parameters stand in the path")
        return act(ask, values)

    # Credentials --------------------------------------------------------------------------------------------------

    def _get_token(self, ask: Ask) -> Answer:
        given = self._parameters(ask, GET_TOKEN, ("login", "apiKey") if self.login_required else ("apiKey",))
        if given["apiKey"] != self.api_key or given.get("login", self.login) != self.login:
            raise no(self.unauthorised_status, "unknown login or key")
        now = self.clock.now()
        token = self.tokens.tokens[-1] if self.tokens.tokens else None
        if token is not None and given.get("forceNew") != "1":
            used_up = self.expire_after_calls is not None and token.used >= self.expire_after_calls
            refused = token.revoked or used_up
            if now - token.made >= self.token_seconds or (refused and not self.hands_out_refused):
                token = None
        else:
            token = None
        if token is None:
            if self.new_token_ends_old:
                self.tokens.revoke()
            token = self.tokens.issue(hex_token(self.api_key, len(self.tokens.tokens)), now)
        answer = {"token": token.value}
        if self.expire_date:
            life = self.token_seconds if self.announced_seconds is None else self.announced_seconds
            answer["expireDate"] = str(int(token.made + life))
        return Answer.json(answer)

    def _check_token(self, ask: Ask) -> None:
        """The token is good in `X-Auth-Token` alone; a call that has an Authorization header too is refused."""
        token = ask.header("X-Auth-Token")
        if ask.header("Authorization") is not None:
            raise no(self.unauthorised_status, "Authorization is not the header for the token")
        refusal: str | None = "no X-Auth-Token"
        if token:
            refusal = self.tokens.refusal(token, self.clock.now(), self.token_seconds, self.expire_after_calls)
        if refusal:
            raise no(self.unauthorised_status, refusal)

    # Functions ----------------------------------------------------------------------------------------------------

    def _parameters(self, ask: Ask, known: Mapping[str, Check], required: tuple[str, ...] = ()) -> dict[str, str]:
        """The `query` parameters of a POST, all of them text, from the one place that `encoding` names."""
        given = self._pairs(ask)
        faults = [f"{name} is required" for name in required if not given.get(name)]
        for name, value in given.items():
            if name not in known:
                faults.append(f"{name} is unknown")
            elif not isinstance(value, str) or not known[name](value):
                faults.append(f"{name} does not match its pattern")
        if faults:
            raise no(self.validation_status, "; ".join(faults))
        return given

    def _pairs(self, ask: Ask) -> dict[str, Any]:
        if self.encoding == "query":
            if ask.body:
                raise no(self.validation_status, "a body is not read")
            return unique(list(ask.query))
        if ask.query:
            raise no(self.validation_status, "the URL's query is not read")
        if self.encoding == "form":
            if ask.body and ask.media_type != "application/x-www-form-urlencoded":
                raise no(self.validation_status, "the body must be form-encoded")
            return unique(parse_qsl(ask.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            body = ask.json() if ask.media_type == "application/json" else None
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise no(self.validation_status, "the body must be a JSON object")
        return body

    def _phases(self, ask: Ask, values: dict[str, str]) -> Answer:
        phases = [{"id": str(n), "name": name} for n, name in enumerate(("Calculatie", "Inkoop", "Uitvoering"), 1)]
        return Answer.json(phases if self.phases_as == "array" else {"phases": phases})

    def _add_project(self, ask: Ask, values: dict[str, str]) -> Answer:
        """Its answer is not readable in the source: an object with the id is assumed."""
        given = self._parameters(ask, ADD_PROJECT, ("name",))
        if given.get("product") == "none" and not self.group_manager:
            raise no(403, "product none needs the rights of a group manager")
        return Answer.json({"id": self._store({"product": "tender", "companyGroupId": "0", **given})})

    def _store(self, fields: Record) -> str:
        id = str(fields.get("id") or 100001 + len(self.stored))
        self.stored[id] = {**fields, "id": id}
        return id

    def _get_project(self, ask: Ask, values: dict[str, str]) -> Answer:
        if values["id"] not in self.stored:
            raise no(404, "no such project")
        return Answer.json(self.stored[values["id"]])

    def _search_projects(self, ask: Ask, values: dict[str, str]) -> Answer:
        given = self._parameters(ask, SEARCH_PROJECTS)
        wanted = {name: value for name, value in given.items() if name != "largest"}
        found = [row for row in self.stored.values() if wanted.items() <= row.items()]
        return Answer.json({"projects": found[: int(given.get("largest", len(found)))]})


def unique(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The pairs by name; a name that comes twice has no text, so that its check fails."""
    names = [name for name, _ in pairs]
    return {name: value if names.count(name) == 1 else None for name, value in pairs}


def no(status: int, words: str) -> Refused:
    """A refusal. Statuses and bodies are assumed: none is documented."""
    return Refused(Answer.json({"error": words}, status))


if __name__ == "__main__":
    run(TwelveBuild)
