"""The spec language: what one vendor's YAML file may say.

Read it top-down: `Spec` is the file. Every attribute is a key, documented where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, Literal, NewType

import attrs

from connectory.spec.places import AnswerPath
from connectory.spec.typeexpr import ANY, TypeExpr
from connectory.spec.words import (
    Anything,
    BodyFormat,
    BoolStyle,
    CodecName,
    Conditions,
    Duration,
    Field,
    Lifetime,
    ListStyle,
    Match,
    ObjectStyle,
    Place,
    Records,
    Regex,
    Setting,
    Size,
    Slot,
    Template,
    Test,
    Texts,
    word,
)

LANGUAGE_VERSION: Final = 1
METHODS: Final = ("get", "post", "put", "patch", "delete", "graphql")

Does = Literal["read", "write", "destroy"]
OutcomeWord = Literal[
    "ok", "accepted", "throttled", "expired", "retry", "rejected", "missing", "exists", "denied", "failed"
]
AnswerFormat = NewType("AnswerFormat", str)  # one of the built-in formats, or a plug-in's
StatusText = NewType("StatusText", str)  # 404, 5xx, 400-499
Rate = NewType("Rate", str)  # 5000/day, 100/10s, 2/second


def _mapping() -> Any:
    return attrs.Factory(dict)


@attrs.frozen(kw_only=True, repr=False)
class Basic:
    """HTTP Basic credentials."""

    user: Template = word("user name", names="auth")
    password: Template = word("password", Template(""), names="auth")


@attrs.frozen(kw_only=True, repr=False)
class Send:
    """Constants, by place on the wire. A text that names a setting which is not given is not sent."""

    headers: Mapping[str, Template] = word("header name to value", _mapping(), names="send")
    query: Mapping[str, Template] = word("query name to value", _mapping(), names="send")
    cookies: Mapping[str, Template] = word("cookie name to value", _mapping(), names="send")
    fields: Mapping[str, Texts] = word("body field to YAML value, typed as written", _mapping(), names="send")
    variables: Mapping[str, Texts] = word("GraphQL variable to YAML value", _mapping(), names="send")


@attrs.frozen(kw_only=True, repr=False)
class Token:
    """One request whose answer is a credential. It spends the limits like any other call."""

    get: Template | None = word("request by GET to this path or URL", None, names="settings")
    post: Template | None = word("request by POST", None, names="settings")
    query: Mapping[str, Template] = word("query parameters of the request", _mapping(), names="settings")
    headers: Mapping[str, Template] = word("its headers", _mapping(), names="settings")
    fields: Mapping[str, Template] = word(
        "its body fields; one whose setting is not given is left out", _mapping(), names="settings"
    )
    body: Literal["json", "form", "query"] = word("how the fields are written", "json")
    answer: Literal["json", "text"] | None = word("how the answer is read: text where `value` is `.`, else json", None)
    value: Place = word("where the token is in the answer; `.` is the whole body")
    lasts: tuple[Lifetime, ...] = word(
        "how long it is good: of several facts the earliest that is known; else until it is refused", ()
    )
    keep: Mapping[str, Place] = word("further values of the answer, used as `{{ kept.name }}`", _mapping())
    grant: Literal["client_credentials", "password", "refresh_token", "authorization_code"] | None = word(
        "OAuth2: writes out body, fields (grant_type and the settings of these names: client_id, client_secret, "
        "username, password, refresh_token), value, lasts and rotates; what is said here besides wins",
        None,
    )
    client: Literal["form", "basic"] = word("with `grant`: where the client's id and secret go", "form")
    scopes: tuple[str, ...] = word("with `grant`: the scopes asked for", ())
    authorize: Template | None = word(
        "with `grant: authorization_code`: the page where a person consents, by `connectory login`",
        None,
        names="settings",
    )
    device: Template | None = word(
        "with `grant: authorization_code`: where a code to type in is asked for, by `connectory login --device`",
        None,
        names="settings",
    )
    rotates: Mapping[str, Place] = word(
        "secret settings that the answer replaces, and where the new ones are; kept before the token is used",
        _mapping(),
        ref="settings",
    )
    after_refusal: Send = word("sent besides when a token was refused, lest the old one comes back", Send())

    @property
    def reads(self) -> str:
        """The format of the answer: a token that is the whole body is a text."""
        return self.answer or ("text" if [str(path) for path in self.value.body] == ["."] else "json")


@attrs.frozen(kw_only=True, repr=False)
class Auth:
    """How each request proves itself: `token` (optional) gets a credential, the rest sends it."""

    token: Token | None = word("the exchange that yields `{{ token }}`", None)
    bearer: Template | None = word('short for `headers: {Authorization: "Bearer ..."}`', None, names="auth")
    basic: Basic | None = word("short for the Basic header", None)
    headers: Mapping[str, Template] = word("headers that carry the credential", _mapping(), names="auth")
    query: Mapping[str, Template] = word("query parameters that carry the credential", _mapping(), names="auth")
    cookies: Mapping[str, Template] = word("cookies that carry the credential", _mapping(), names="auth")
    use: str | None = word("a signing plug-in; its options stand beside it", None)
    options: Any = attrs.field(default=None, metadata={"plugin": "auth"})


@attrs.frozen(kw_only=True, repr=False)
class Wire:
    """How values are written on this vendor's wire; per operation only the exceptions."""

    body: BodyFormat | None = word(
        "how a body is written: json (default), form, query, multipart, csv, tsv, ndjson, xml, text, bytes; "
        "or a setting",
        None,
        names="settings",
    )
    answer: AnswerFormat | None = word(
        "how an answer is read: json (default), csv, tsv, ndjson, xml, text, bytes; a gzip or zip file is unpacked",
        None,
    )
    lists: ListStyle | None = word(
        "lists in query and form: a=1&a=2 (repeat, default), a=1,2 (comma), a[]=1, a[0]=1 ...", None
    )
    objects: ObjectStyle | None = word("objects in query and form: a[b]=1 (brackets, default), a.b=1, json", None)
    datetime: CodecName | None = word("codec of the bare type `datetime` (default rfc3339)", None)
    bools: BoolStyle | None = word("booleans in query and form (default true_false)", None)


@attrs.frozen(kw_only=True, repr=False)
class Learn:
    """What answers tell of a limit. Numbers are in the limit's unit; what an answer does not say stays as it was."""

    limit: Place | None = word("its size", None)
    remaining: Place | None = word("what is left of it", None)
    used: Place | None = word("what is used of it, where the vendor does not say what is left", None)
    reset: Place | None = word("when it is whole again: a moment by its codec; without one, seconds from now", None)
    refill: Place | None = word("what comes back a second", None)
    cost: Place | None = word("what this call has cost", None)


@attrs.frozen(kw_only=True, repr=False)
class Limit:
    """A named budget."""

    rate: tuple[Rate, ...] = word("`5000/day`, `100/10s`, `2/second`", ())
    gap: Duration = word("least time between two calls", Duration(0.0))
    concurrent: int | None = word("requests in flight that the vendor allows", None)
    advised: int | None = word(
        "requests in flight that the vendor asks for, below what it allows; `concurrent=` raises it", None
    )
    burst: int | None = word("size of the bucket, when `rate` is a refill", None)
    per: tuple[str, ...] = word("settings that name whose budget it is; default: the secrets", (), ref="settings")
    zone: str | None = word("a day is a calendar day there; else any 24 hours", None)
    for_: Literal["all", "named"] = word("holds for every operation that names no limits, or only where named", "all")
    unit: str = word("what is counted; `costs` of an operation say how many of it a call takes", "calls")
    learn: Learn | None = word("what answers tell of it; the ledger goes by that from then on", None)


@attrs.frozen(kw_only=True, repr=False)
class Errors:
    """Where an answer that is not ok says why."""

    message: tuple[Place, ...] = word("the vendor's words: the first that is there", ())
    code: tuple[Place, ...] = word("a stable code", ())
    fields: Place | None = word("map of field to message, or the names of the fields that the message is about", None)


@attrs.frozen(kw_only=True, repr=False)
class Rule:
    """One outcome; all its conditions must hold."""

    status: tuple[StatusText, ...] = word("404, 5xx, 400-499; default any", ())
    body: Conditions = word("path to condition", _mapping())
    headers: Mapping[str, Test] = word("header to condition (header values are text)", _mapping())
    text: Regex | None = word("searched in the raw body", None)
    does: tuple[Does, ...] = word("only for operations that do this", ())
    is_: OutcomeWord | None = word("what the answer means", None)
    use: str | None = word("a plug-in that judges, in place of `is`; its options stand beside it", None)
    wait: Place | None = word("seconds to wait (a date in Retry-After is understood)", None)
    until: Place | None = word("moment to wait for", None)
    limit: str | None = word("which limit was hit", None, ref="limits")
    options: Any = attrs.field(default=None, metadata={"plugin": "outcomes"})


@attrs.frozen(kw_only=True, repr=False)
class Pager:
    """One of the vendor's ways of paging. `use` names a kind; the kind's own keys stand beside it."""

    use: str = word("the kind: page_number, offset, cursor, last_record, next_url, connection, or a plug-in's")
    records: Records | None = word("where the records are, unless the operation says", None)
    size: Slot | None = word("the page-size parameter; sent as `largest`", None)
    largest: int | None = word("largest page the vendor documents", None)
    cap: int | None = word(
        "the vendor gives no more records than this per query; reaching it is an error, never silence", None
    )
    more: Conditions = word("there is another page when these hold", _mapping())
    total_records: Place | None = word("how many records there are; another number in the end is an error", None)
    total_pages: Place | None = word("how many pages there are", None)
    count: Literal["exact", "warn"] = word("a count that differs from `total_records`: an error, or a warning", "exact")
    options: Any = attrs.field(default=None, metadata={"plugin": "pagers"})


@attrs.frozen(kw_only=True, repr=False)
class Batch:
    """Items together in one call."""

    items: str | None = word("the list parameter that is filled; default: the body", None)
    largest: int = word("items a call", 1)
    bytes: Size | None = word("body size a call", None)
    atomic: bool = word("one bad item refuses all", False)
    use: str = word("how items are cut into calls: chunks, or a plug-in's", "chunks")
    make_keys: bool = word(
        "an item with neither key nor unique field gets a key before it is first sent: sending again is harmless",
        False,
    )
    options: Any = attrs.field(default=None, metadata={"plugin": "batches"})


@attrs.frozen(kw_only=True, repr=False)
class Results:
    """What became of each item. Correlated by key, else by index, else by position."""

    at: AnswerPath = word("the list of item results", AnswerPath(".", ()))
    key: Match | None = word("matched by this field", None)
    index: AnswerPath | None = word("field that holds the item's position", None)
    ok: Conditions = word("delivered when these hold", _mapping())
    only: Literal["delivered", "rejected"] | None = word("every entry here means that", None)
    id: AnswerPath | None = word("the vendor's id of the item", None)
    message: AnswerPath | None = word("the vendor's words", None)
    code: AnswerPath | None = word("the vendor's code", None)
    count: Place | None = word("how many the vendor says it took; another number than sent warns", None)
    reports: Literal["all", "failures"] = word(
        "failures: when some are named, those not named were fine (atomic: were not written)", "all"
    )


@attrs.frozen(kw_only=True, repr=False)
class Mark:
    """Incremental filter by one record field."""

    from_: str | None = word("parameter for records changed since", None)
    until: str | None = word("parameter for the other end", None)
    as_: Texts | None = word(
        "value of `from`: text or structure with `{{ since }}`, `{{ until }}`, `{{ given }}`", None, names="mark"
    )
    codec: CodecName | None = word("how the mark is written: else as the parameter's or the field's type says", None)
    inclusive: bool = word("a record exactly at the mark comes again", True)
    ordered: bool = word("records come in mark order, so a cut run may resume", False)
    window: Duration | None = word("longest span the vendor takes", None)


@attrs.frozen(kw_only=True, repr=False)
class Link:
    """One operation's records into another's parameters."""

    operation: str = word("the other operation", ref="operations")
    with_: Mapping[str, AnswerPath] = word("parameter to record field", _mapping())
    keep: Mapping[str, AnswerPath] = word("parent fields copied into each record: new name to field", _mapping())
    when: Conditions = word("only for records where these hold", _mapping())


@attrs.frozen(kw_only=True, repr=False)
class Recursion:
    """An operation's own records into its parameters again: what is inside of what it lists."""

    with_: Mapping[str, AnswerPath] = word("parameter to record field")
    keep: Mapping[str, AnswerPath] = word("fields of the outer record copied into each inner one", _mapping())
    when: Conditions = word("only for records where these hold", _mapping())


@attrs.frozen(kw_only=True, repr=False)
class Example:
    """One recorded or written exchange, for docs, mock and tests."""

    about: str = word("what it shows", "")
    with_: Mapping[str, Anything] = word("arguments", _mapping())
    status: int = word("of the answer", 200)
    headers: Mapping[str, str] = word("of the answer", _mapping())
    answer: Anything | None = word("body of the answer", None)


@attrs.frozen(kw_only=True, repr=False)
class Step:
    """One call of a flow. Its texts see the flow's parameters, the settings, and what earlier steps kept. A recipe that
    is killed in the middle of a flow goes on at its step: a job that was made is polled, not made again. So the step
    that makes it writes (`does: write`), though the flow reads."""

    call: str = word("which operation", ref="operations")
    with_: Mapping[str, Texts] = word(
        "parameter (wire name, or body) to value; a lone `{{ x }}` keeps its value",
        _mapping(),
        names="flow",
    )
    keep: Mapping[str, Place] = word(
        "values of its answer for later steps; one that is missing ends a read without records", _mapping()
    )
    until: Conditions = word("call again until these hold", _mapping())
    failed: Conditions = word("the flow has failed when these hold", _mapping())
    every: Duration = word("between two polls", Duration(5.0))
    at_most: Duration = word("of polling; then the outcome is unknown, never a success", Duration(3600.0))
    results: tuple[Results, ...] = word("what became of each item of the flow's batch stands in this answer", ())


@attrs.frozen(kw_only=True, repr=False)
class Operation:
    """What can be called. Exactly one of the methods, or steps."""

    get: Template | None = word("read the line as HTTP: `get: /students/{id}`", None, names="settings")
    post: Template | None = word("POST to this path", None, names="settings")
    put: Template | None = word("PUT to this path", None, names="settings")
    patch: Template | None = word("PATCH to this path", None, names="settings")
    delete: Template | None = word("DELETE of this path", None, names="settings")
    graphql: Template | None = word(
        "POST in the GraphQL way: document, variables, errors in 200", None, names="settings"
    )
    steps: tuple[Step, ...] = word("an operation made of others: they are called in this order", ())
    document: str | None = word("GraphQL text, plain; without it the caller gives document and variables", None)
    about: str = word("one sentence", "")
    does: Does | None = word("read, write or destroy; default from the verb", None)
    repeatable: bool | None = word("sending it twice does no more than once; default from the verb", None)
    idempotency_key: Slot | None = word("where a made-up key goes that makes this write repeatable", None)
    path: Mapping[str, Field] = word("types of `{names}` in the path (default str!)", _mapping())
    query: Mapping[str, Field] = word("query parameters, by wire name", _mapping())
    headers: Mapping[str, Field] = word("header parameters", _mapping())
    fields: Mapping[str, Field] = word("body fields", _mapping())
    variables: Mapping[str, Field] = word("GraphQL variables", _mapping())
    body: TypeExpr | None = word("the whole body, when it is not an object of `fields`", None)
    send: Send = word("constants of this call", Send())
    wire: Wire = word("exceptions, key by key", Wire())
    server: str | None = word("another server", None, ref="servers")
    anonymous: bool = word("without credentials", False)
    pages: str | None = word("paged so; the operation yields records", None, ref="pagers")
    records: Records | None = word("many records, there", None)
    record: tuple[AnswerPath, ...] = word(
        "one record, there (default: the body); of several paths, the first that is there", ()
    )
    returns: TypeExpr = word("type of a record, or of the answer", ANY)
    batch: Batch | None = word("many items a call", None)
    results: tuple[Results, ...] = word("what became of each item", ())
    marks: Mapping[str, Mark] = word("record field to how the vendor filters by it", _mapping())
    detail: Link | None = word("the call that completes a partial record, or a write's short answer", None)
    parent: Link | None = word("the operation whose records feed this one", None)
    recurse: Recursion | None = word("its own records feed it again", None)
    merge: str | None = word(
        "read with that operation first, lay the caller's fields over it, send the whole only when something differs",
        None,
        ref="operations",
    )
    if_match: Place | None = word(
        "with merge: what of the answer read goes back as If-Match; refused (412), it is read and laid over again", None
    )
    limits: tuple[str, ...] = word("exactly these hold here (default: those `for: all`)", (), ref="limits")
    costs: Mapping[str, Template] = word(
        "limit to what a call takes of it before its answer tells: a number, or computed of the parameters and the "
        "page's size (default 1)",
        _mapping(),
        names="costs",
    )
    outcomes: tuple[Rule, ...] = word("tried before the vendor's", ())
    errors: Errors | None = word("other places here", None)
    examples: tuple[Example, ...] = word("exchanges for mock, tests and docs", ())
    deprecated: bool = word("warns", False)

    @cached_property
    def method(self) -> str:
        """The key that names the method: get, post, put, patch, delete, graphql, or steps."""
        return next((name for name in METHODS if getattr(self, name) is not None), "steps")

    @cached_property
    def address(self) -> Template:
        """The path or URL, a template with `{names}` of path parameters; empty for steps."""
        return Template("") if self.method == "steps" else getattr(self, self.method)


@attrs.frozen(kw_only=True, repr=False)
class Discover:
    """A discovery plug-in and its options."""

    use: str = word("the plug-in; its options stand beside it")
    options: Any = attrs.field(default=None, metadata={"plugin": "discover"})


@attrs.frozen(kw_only=True, repr=False)
class Family:
    """Operations written once for many objects; texts may use `{{ family.column }}`."""

    resource: Template = word("first half of the operation names, such as `{{ object.plural }}`")
    known: tuple[Mapping[str, Anything], ...] = word("the objects known without asking, a row each", ())
    discover: Discover | None = word("plug-in that yields objects and types of this workspace", None)
    operations: Mapping[str, Anything] = word(
        "by verb, or by whole name where it holds a dot", _mapping(), filled=Operation
    )


@attrs.frozen(kw_only=True, repr=False)
class Spec:
    """One vendor's file."""

    name: str = word('the vendor, as in `connect("name")`')
    connectory: int = word("version of this language", LANGUAGE_VERSION)
    extends: str | None = word("adds to that packaged vendor's spec; a clash is a fault", None)
    about: str = word("one sentence for docs and `list`", "")
    docs: str | None = word("the vendor's own reference", None)
    settings: Mapping[str, Setting] = word("what a user must or may give", _mapping())
    servers: Mapping[str, Template] = word(
        "named base URLs; the first is the default; the setting `server` overrides", names="settings"
    )
    auth: tuple[Auth, ...] = word("alternatives in order: the first whose settings are all given is used", ())
    send: Send = word("constants sent with every call", Send())
    wire: Wire = word("how values are written on this vendor's wire", Wire())
    limits: Mapping[str, Limit] = word("the vendor's limits, by name", _mapping())
    errors: Errors = word("where an answer that is not ok says why", Errors())
    outcomes: tuple[Rule, ...] = word(
        "what answers mean: first match wins; after the operation's own, before the built-in table", ()
    )
    idempotency_key: Slot | None = word(
        "where a made-up key goes that makes every call with `does: write` repeatable: each try sends the same",
        None,
    )
    pagers: Mapping[str, Pager] = word("the vendor's ways of paging, by name", _mapping())
    operations: Mapping[str, Operation] = word("what can be called, named `resource.verb`", _mapping())
    families: Mapping[str, Family] = word("operations written once for many objects, known or discovered", _mapping())
    types: Mapping[str, Mapping[str, Field]] = word("records and bodies: type name, then wire field", _mapping())
    verify: str | None = word(
        "a cheap call without required arguments that proves the credentials", None, ref="operations"
    )
    assumed: Mapping[str, str] = word("spec place (`a/b/c`) to why we believe it undocumented", _mapping())
    sources: Mapping[str, str] = word("spec place to where it is documented", _mapping())


STANDARD_VERBS: Final[Mapping[str, tuple[Does, bool]]] = {
    "list": ("read", True),
    "get": ("read", True),
    "create": ("write", False),
    "create_many": ("write", False),
    "push": ("write", False),
    "upload": ("write", False),
    "update": ("write", True),
    "replace": ("write", True),
    "upsert": ("write", True),
    "upsert_many": ("write", True),
    "delete": ("destroy", True),
}


def effect(name: str, operation: Operation) -> tuple[Does, bool] | None:
    """What a call does and whether it may be repeated: as said, else by its standard verb; None when unsaid."""
    standard = STANDARD_VERBS.get(name.rsplit(".", 1)[-1])
    does = operation.does or (standard[0] if standard else None)
    if does is None:
        return None
    if operation.repeatable is not None:
        return does, operation.repeatable
    if standard and standard[0] == does:
        return does, standard[1]
    return does, does == "read"


__all__ = [name for name in dir() if name[0].isupper()] + ["effect", "word"]
