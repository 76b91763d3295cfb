"""Mutants of a spec: each has one thing changed, and none changes what only tells."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectory.connecting import load_registry
from connectory.errors import SpecError
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.load import Discovered, load_tree
from connectory.spec.trees import Table, as_data, read_tree
from connectory.testing.audits.mutants import Mutant, mutants_of

VENDORS = ("12build", "12traits", "12twenty", "twenty")

SPEC = """\
name: acme
about: a shop
settings: {shop: {type: str, required: true, about: the shop}, key: secret!}
servers: {live: "https://{{ shop }}.acme.example/api", test: "https://test.acme.example"}
auth:
  token: {post: /token, fields: {key: "{{ key }}"}, value: data.token, lasts: 24h}
  headers: {X-Token: "{{ token }}"}
limits: {all: {rate: 5000/day, gap: 0.62s, per: shop}}
outcomes: [{status: 5xx, does: [write, destroy], is: rejected}, {status: 400, body: {error.code: [7]}, is: exists}]
pagers:
  numbered: {use: page_number, page: page, size: {fields: size}, largest: 50, records: rows, more: {meta.more: true}}
  others: {use: offset, offset: start, records: rows}
operations:
  goods.search:
    post: /goods/search
    does: read
    about: finds goods
    query: {kind: one of new | old = new, since: datetime(utc)}
    pages: numbered
    returns: Good
    examples: [{answer: {rows: [{Id: 1}]}}]
  goods.create_many:
    {post: /goods, body: list of Good, batch: {largest: 10, atomic: true}, results: {at: rows, key: Id}}
  goods.graph: {graphql: /graphql, does: read, document: "query { goods { id name } }", pages: others}
types:
  Good: {Id: int64! key read_only, Name: str, Made: datetime, "*": any}
"""

EXPECTED = """\
settings/shop/type: 'int' for 'str'
settings/shop/required: without 'required'
settings/key: 'secret' for 'secret!'
servers/live: without 'live'
servers/live: key 'livex' for 'live'
servers/live: 'https://{{ shop }}.acme.examplex/api' for 'https://{{ shop }}.acme.example/api'
servers/live: 'https://{{ shop }}.acme.example' for 'https://{{ shop }}.acme.example/api'
servers/live: 'https://{{ key }}.acme.example/api' for 'https://{{ shop }}.acme.example/api'
auth/token/fields/key: key 'keyx' for 'key'
auth/token/value: 'datax.token' for 'data.token'
auth/token/value: 'data' for 'data.token'
auth/token/lasts: '25h' for '24h'
auth/token/lasts: '23h' for '24h'
auth/headers/X-Token: key 'X-Tokenx' for 'X-Token'
auth/headers/X-Token: '{{ key }}' for '{{ token }}'
limits/all/rate: '5001/day' for '5000/day'
limits/all/gap: '0.61s' for '0.62s'
limits/all/per: 'key' for 'shop'
outcomes/0: items 1 and 2 swapped
outcomes/0: without item 1
outcomes/0/status: '6xx' for '5xx'
outcomes/0/does/0: without item 1 'write'
outcomes/0/is: 'missing' for 'rejected'
outcomes/1/body/error.code: key 'errorx.code' for 'error.code'
outcomes/1/body/error.code/0: '8' for '7'
pagers/numbered/use: 'offset' for 'page_number'
pagers/numbered/page: 'pagex' for 'page'
pagers/numbered/size/fields: 'sizex' for 'size'
pagers/numbered/largest: '51' for '50'
pagers/numbered/records: 'rowsx' for 'rows'
pagers/numbered/more: without 'more'
pagers/numbered/more/meta.more: 'false' for 'true'
operations/goods.search: without 'goods.search'
operations/goods.search/post: '/goods' for '/goods/search'
operations/goods.search/post: '/goods/searchx' for '/goods/search'
operations/goods.search/post: '/goods/search/' for '/goods/search'
operations/goods.search/does: 'write' for 'read'
operations/goods.search/query/kind: key 'kindx' for 'kind'
operations/goods.search/query/kind: 'one of new = new' for 'one of new | old = new'
operations/goods.search/query/kind: 'one of new | old' for 'one of new | old = new'
operations/goods.search/query/since: 'datetime' for 'datetime(utc)'
operations/goods.search/pages: 'others' for 'numbered'
operations/goods.create_many/body: 'Good' for 'list of Good'
operations/goods.create_many/batch/largest: '11' for '10'
operations/goods.create_many/batch/atomic: without 'atomic'
operations/goods.create_many/results/key: 'Idx' for 'Id'
operations/goods.graph/document: 'queryx { goods { id name } }' for 'query { goods { id name } }'
types/Good/Id: 'int64 key read_only' for 'int64! key read_only'
types/Good/Id: 'int64! key' for 'int64! key read_only'
types/Good/Id: 'str! key read_only' for 'int64! key read_only'
types/Good/Name: 'int' for 'str'
types/Good/Made: without 'Made'
types/Good/*: without '*'
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(None)


def mutants(registry: Registry, text: str) -> list[Mutant]:
    return list(mutants_of(registry, read_tree(text.encode(), "acme.yaml")))


def test_every_kind_of_mistake_is_planted(registry: Registry) -> None:
    planted = {mutant.key for mutant in mutants(registry, SPEC)}
    assert not set(EXPECTED.splitlines()) - planted


@pytest.mark.parametrize("silent", ["about", "examples", "settings/shop/about", "name:"])
def test_what_only_tells_is_left_alone(registry: Registry, silent: str) -> None:
    assert [mutant.key for mutant in mutants(registry, SPEC) if silent in mutant.key] == []


def test_a_plain_field_of_an_open_type_is_not_dropped_and_that_of_a_closed_one_is(registry: Registry) -> None:
    dropped = "types/Good/Name: without 'Name'"
    assert dropped not in {mutant.key for mutant in mutants(registry, SPEC)}
    assert dropped in {mutant.key for mutant in mutants(registry, SPEC.replace(', "*": any', ""))}


def test_a_mutant_says_where_it_stands(registry: Registry) -> None:
    found = next(mutant for mutant in mutants(registry, SPEC) if mutant.key.startswith("pagers/numbered/largest: '51'"))
    line = SPEC.splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith("50,")


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two data differ: a key renamed, a key or an item gone, two items swapped are one difference each."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if list(before) == list(after):
            for key in before:
                yield from differences(before[key], after[key], f"{path}/{key}")
        elif [key for key in before if key in after] == list(after):
            yield from (f"{path}/{key}" for key in before if key not in after)
        else:
            changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
            yield from (f"{path}/{one}" for one, _ in changed)
            assert all(before[key] == after[key] for key in before if key in after)
    elif isinstance(before, list) and isinstance(after, list):
        if len(after) == len(before) - 1:
            yield from [path] * (1 if after in [before[:n] + before[n + 1 :] for n in range(len(before))] else 2)
        elif before != after and sorted(map(repr, before)) == sorted(map(repr, after)):
            swaps = [[*before[:n], before[n + 1], before[n], *before[n + 2 :]] for n in range(len(before) - 1)]
            yield from [path] * (1 if after in swaps else 2)
        else:
            for number, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from differences(one, other, f"{path}/{number}")
    elif before != after:
        yield path


def tree_of(registry: Registry, vendor: str) -> Table:
    return read_tree(registry.packaged[vendor].file.read_bytes(), f"{vendor}.yaml")


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_mutant_of_a_shipped_spec_differs_in_one_place(registry: Registry, vendor: str) -> None:
    tree = tree_of(registry, vendor)
    before = as_data(tree)
    found = list(mutants_of(registry, tree))
    for mutant in random.Random(0).sample(found, 100):
        assert len(list(differences(before, as_data(mutant.tree)))) == 1, mutant.key
    assert len({(mutant.key, mutant.line) for mutant in found}) == len(found)
    assert as_data(tree) == before


def loads(registry: Registry, mutant: Mutant, source: SpecFile) -> bool:
    """Whether the loader takes it; a refusal names a place in the file."""
    try:
        load_tree(registry, mutant.tree, source, Discovered())
    except SpecError as error:
        faults = error.faults
    else:
        return True
    assert faults
    assert all(fault.line > 0 and fault.column > 0 for fault in faults), mutant.key
    return False


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_mutant_loads_or_is_refused_at_a_place(registry: Registry, vendor: str) -> None:
    found = list(mutants_of(registry, tree_of(registry, vendor)))
    some = random.Random(1).sample(found, 12)
    taken = [loads(registry, mutant, registry.packaged[vendor]) for mutant in some]
    assert any(taken)
    assert not all(taken)


def test_a_users_own_spec_has_mutants_too(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(SPEC)
    source = SpecFile("acme", file, "a test")
    found = mutants(registry, SPEC)
    assert sum(loads(registry, mutant, source) for mutant in found) > len(found) // 3
