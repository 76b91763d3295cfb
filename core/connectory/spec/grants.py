"""`grant: client_credentials` and its like -> the request of the exchange, written out, before anything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectory.spec.trees import Array, Node, Table, Text, copy_place

# The settings that each grant sends as fields of the same name (RFC 6749, 4.1 to 4.4 and 6).
GRANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "client_credentials": ("client_id", "client_secret"),
    "password": ("username", "password", "client_id", "client_secret"),
    "refresh_token": ("refresh_token", "client_id", "client_secret"),
    "authorization_code": ("refresh_token", "client_id", "client_secret"),
}
# What each cannot do without.
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "client_credentials": ("client_id",),
    "password": ("username", "password"),
    "refresh_token": ("refresh_token",),
    "authorization_code": ("client_id", "refresh_token"),
}
_CHOICES: Final = ("grant", "client", "scopes")
_CLIENT: Final = ("client_id", "client_secret")
_BASIC: Final = "Basic {{ (client_id + ':' + client_secret) | b64 }}"


def expand_grants(tree: Table) -> Table:
    """The tree with every token that names a grant written out; what a token says itself stays."""
    auth = tree.get(Text("auth"))
    if isinstance(auth, Array):
        return _with(tree, "auth", copy_place(Array(_alternative(tree, one) for one in auth), auth))
    return _with(tree, "auth", _alternative(tree, auth)) if isinstance(auth, Table) else tree


def granted(token: Table, tree: Table) -> Mapping[str, Node]:
    """What the grant that a token of the tree names says by itself, by key; nothing where it names none."""
    grant = token.get(Text("grant"))
    if not isinstance(grant, Text) or grant not in GRANTS:
        return {}
    chosen = copy_place(Table({key: held for key, held in token.items() if key in _CHOICES}), grant)
    written = _written_out(chosen, grant, tree)
    return {str(key): held for key, held in written.items() if key not in _CHOICES}


def _alternative(tree: Table, auth: Node) -> Node:
    token = auth.get(Text("token")) if isinstance(auth, Table) else None
    grant = token.get(Text("grant")) if isinstance(token, Table) else None
    if not isinstance(auth, Table) or not isinstance(token, Table) or not isinstance(grant, Text):
        return auth
    return _with(auth, "token", _written_out(token, grant, tree)) if grant in GRANTS else auth


def _written_out(token: Table, grant: Text, tree: Table) -> Table:
    """The token's own keys, and for those it has not what the grant means."""
    settings = tree.get(Text("settings"))
    known = set(map(str, settings)) if isinstance(settings, Table) else set()
    basic = str(token.get(Text("client"))) == "basic"
    sent = [name for name in GRANTS[grant] if name in known and not (basic and name in _CLIENT)]
    # What a person consented to is renewed like any refresh token.
    fields = {"grant_type": "refresh_token" if grant == "authorization_code" else str(grant)}
    fields |= {name: f"{{{{ {name} }}}}" for name in sent}
    scopes = token.get(Text("scopes"))
    if scopes and grant != "authorization_code":
        fields["scope"] = " ".join(map(str, scopes if isinstance(scopes, Array) else [scopes]))
    written = copy_place(Table(token), token)
    defaults: dict[str, Node] = {
        "body": _text("form", grant),
        "value": _text("access_token", grant),
        "lasts": _table({"seconds": "expires_in"}, grant),
    }
    if "refresh_token" in sent:
        defaults["rotates"] = _table({"refresh_token": "refresh_token"}, grant)
    for key, value in defaults.items():
        if Text(key) not in written:
            written[_text(key, grant)] = value
    _lay_under(written, "fields", fields, grant)
    if basic and set(_CLIENT) <= known:
        _lay_under(written, "headers", {"Authorization": _BASIC}, grant)
    return written


def _lay_under(token: Table, key: str, texts: Mapping[str, str], at: Text) -> None:
    """The texts in a mapping of the token, except where it has its own."""
    own = token.get(Text(key))
    if own is not None and not isinstance(own, Table):
        return  # the structure check says what is wrong
    laid = _table(texts, at)
    laid.update(own or {})
    named = next((name for name in token if name == key), _text(key, at))
    token[named] = copy_place(laid, own if own is not None else at)


def _with(table: Table, key: str, value: Node) -> Table:
    changed = copy_place(Table(table), table)
    changed[next(name for name in table if name == key)] = value
    return changed


def _table(texts: Mapping[str, str], at: Text) -> Table:
    return copy_place(Table({_text(key, at): _text(value, at) for key, value in texts.items()}), at)


def _text(said: str, at: Text) -> Text:
    return copy_place(Text(said), at)
