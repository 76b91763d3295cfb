"""Discovery of a Twenty workspace: from its OpenAPI document or its data model to operations that work."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import ArgumentError, Connector, Denied, Parts, PluginError, Unavailable, connect
from connectory.clock import ManualClock
from connectory.discovery import discover
from emulators.exchange import Answer, Ask
from emulators.server import Emulator
from emulators.twenty import Twenty
from emulators.twenty_server.keys import WITHOUT_DATA_MODEL

RECORDED = Path(__file__).parents[1] / "data" / "twenty-recorded"

Connect = Callable[..., Connector]


@attrs.define(eq=False, kw_only=True, slots=False)
class Recorded(Emulator):
    """Serves one OpenAPI document, and refuses everything else as a key without the Data Model right is."""

    document: Any = None

    def answer(self, ask: Ask) -> Answer:
        if ask.path == "/rest/open-api/core":
            return Answer.json(self.document)
        refusal = {"statusCode": 403, "messages": ["no permission"], "error": "PERMISSION_DENIED"}
        return Answer.json(refusal, 403)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "connectory.toml").touch()
    return tmp_path


@pytest.fixture
def crm(clock: ManualClock) -> Iterator[Twenty]:
    few = ["people", "companies", "opportunities", "noteTargets", "workspaceMembers"]
    with Twenty(clock=clock, only=few, custom_objects={"gizmo": "gizmos"}, people=3, companies=2) as running:
        running.add_field("gizmos", "serial", "TEXT", isUnique=True)
        running.add_field("gizmos", "price", "CURRENCY")
        running.add_field("gizmos", "contact", "EMAILS")
        running.add_field("gizmos", "builtAt", "DATE_TIME")
        options = [{"value": value, "label": value, "color": "sky", "position": 0} for value in ("RED", "BLUE")]
        running.add_field("gizmos", "colour", "SELECT", options=options)
        yield running


@pytest.fixture
def meet(crm: Twenty, parts: Parts, project: Path) -> Iterator[Connect]:
    """Connects anew each time, as another process would."""
    made: list[Connector] = []

    def anew(server: str = "", key: str = "") -> Connector:
        made.append(connect("twenty", server=server or crm.url, api_key=key or crm.key, project=project, parts=parts))
        return made[-1]

    yield anew
    for connector in made:
        connector.close()


def kept(project: Path) -> Path:
    return project / ".connectory" / "discovered" / "twenty.json"


def fields(connector: Connector, type_name: str) -> Any:
    return connector.engine.spec.types[type_name]


def openapi() -> Any:
    return json.loads(gzip.decompress((RECORDED / "openapi-core.json.gz").read_bytes()))


def test_a_custom_object_becomes_operations_that_work(crm: Twenty, meet: Connect) -> None:
    with pytest.raises(ArgumentError, match="gizmos"):
        meet().gizmos.list()
    summary = meet().discover()
    assert "gizmos" in summary.added
    assert "people" in summary.objects["object"]
    workspace = meet()
    made = workspace.gizmos.create(body={"serial": "a1", "price": {"amountMicros": 5_000_000, "currencyCode": "EUR"}})
    assert workspace.gizmos.get(id=made["id"])["serial"] == "a1"
    delivery = workspace.gizmos.upsert_many([{"serial": f"b{number}"} for number in range(61)])
    assert delivery.accounts.counts["delivered"] == 61
    assert len(list(workspace.gizmos.list())) == 62
    assert [gizmo["serial"] for gizmo in workspace.gizmos.list(filter='serial[eq]:"b7"')] == ["b7"]


def test_graphql_of_a_custom_object_and_nested_relations(crm: Twenty, meet: Connect) -> None:
    meet().discover()
    workspace = meet()
    made = workspace.graphql.create_gizmo(data={"serial": "c1"})
    assert [gizmo["id"] for gizmo in workspace.graphql.gizmos()] == [made["id"]]
    companies = {person["company"]["name"] for person in workspace.graphql.people() if person["companyId"]}
    assert companies
    assert companies <= {"Company 1", "Company 2"}


def test_fields_say_their_type_values_and_relations(meet: Connect) -> None:
    meet().discover()
    workspace = meet()
    gizmo, person = fields(workspace, "Gizmo"), fields(workspace, "Person")
    assert gizmo["id"].key
    assert gizmo["updatedAt"].read_only
    assert not gizmo["createdAt"].read_only
    assert (str(gizmo["price"].type), str(gizmo["builtAt"].type)) == ("Currency", "datetime")
    assert gizmo["serial"].unique
    assert "one of RED, BLUE" in gizmo["colour"].about
    assert str(gizmo["colour"].type) == "str"
    assert "relation to Company" in person["companyId"].about
    assert "relation to NoteTarget" in person["noteTargets"].about
    assert person["noteTargets"].read_only


def test_what_identifies_a_record_survives_discovery(meet: Connect) -> None:
    """An upsert leaves a company with a domain its own key; only e-mails that are unique may do the same."""
    meet().discover()
    workspace = meet()
    assert str(fields(workspace, "Company")["domainName"].type) == "UniqueLinks"
    assert str(fields(workspace, "Person")["emails"].type) == "Emails"
    assert str(fields(workspace, "Gizmo")["contact"].type) == "PlainEmails"


def test_a_key_without_the_data_model_right_discovers(crm: Twenty, meet: Connect) -> None:
    summary = meet(key=crm.issue_key("weak", WITHOUT_DATA_MODEL)).discover()
    assert "gizmos" in summary.objects["object"]


@pytest.mark.parametrize("direct", [False, True])
def test_without_the_openapi_document_the_data_model_is_read(crm: Twenty, meet: Connect, direct: bool) -> None:
    crm.direct_metadata = direct
    crm.fail(times=9, status=404, match="open-api")
    assert "gizmos" in meet().discover().added
    workspace = meet()
    workspace.gizmos.create(body={"serial": "d1", "builtAt": "2026-03-01T10:00:00Z"})
    assert [gizmo["serial"] for gizmo in workspace.graphql.gizmos()] == ["d1"]
    assert "relation to" in fields(workspace, "Person")["companyId"].about


def test_an_unchanged_workspace_leaves_the_file_as_it_is(meet: Connect, project: Path) -> None:
    meet().discover()
    before = kept(project).read_bytes()
    summary = meet().discover()
    assert kept(project).read_bytes() == before
    assert not (summary.added)
    assert not (summary.removed)
    assert not (summary.changed)
    assert "nothing has changed" in str(summary)
    assert stat.S_IMODE(kept(project).stat().st_mode) == 0o600
    assert stat.S_IMODE(kept(project).parent.stat().st_mode) == 0o700
    assert [file.name for file in kept(project).parent.iterdir()] == ["twenty.json"]


def test_changes_are_named(crm: Twenty, meet: Connect) -> None:
    meet().discover()
    crm.add_object("sprocket", "sprockets")
    crm.add_field("gizmos", "weight", "NUMBER")
    summary = meet().discover()
    assert summary.added == ("sprockets",)
    assert "gizmos" in summary.changed
    assert "opportunities" not in summary.changed
    crm.model.keep_only(["people", "gizmos"])
    assert "sprockets" in meet().discover().removed


def test_the_largest_page_is_the_workspaces_own(crm: Twenty, meet: Connect) -> None:
    meet().discover()
    workspace = meet()
    list(workspace.people.list())
    stated = crm.requests("GET /rest/people")[-1].argument("limit")
    assert stated == str(workspace.engine.spec.pagers["after"].largest) == "200"


def test_what_was_kept_stays_in_use_when_the_server_is_gone(crm: Twenty, meet: Connect, project: Path) -> None:
    meet().discover()
    before = kept(project).read_bytes()
    crm.fail(times=99, status=503)
    with pytest.raises(Unavailable, match="stay in use"):
        meet().discover()
    assert kept(project).read_bytes() == before
    assert "gizmos" in dir(meet())


def test_a_refused_key_keeps_nothing(meet: Connect, project: Path) -> None:
    with pytest.raises(Denied, match="no earlier discovery"):
        meet(key="nonsense").discover()
    assert not kept(project).exists()


def test_the_recorded_workspace_becomes_operations(meet: Connect, clock: ManualClock) -> None:
    with Recorded(clock=clock, document=openapi()) as server:
        summary = meet(server=server.url).discover()
        workspace = meet(server=server.url)
    assert len(summary.objects["object"]) == 34
    for plural in ("gadgets", "rockets", "timeline_activities", "workspace_members"):
        for verb in ("list", "get", "create", "upsert_many", "delete"):
            assert workspace.operation(f"{plural}.{verb}").plan.name == f"{plural}.{verb}"
        assert workspace.operation(f"graphql.{plural}").plan.many
    assert str(fields(workspace, "Company")["address"].type) == "Address"
    assert str(fields(workspace, "Person")["avatarFile"].type) == "list of File"


def test_words_of_a_workspace_are_data(meet: Connect, clock: ManualClock) -> None:
    """A description may look like a template, a field like a query: neither is carried out."""
    document = openapi()
    properties = document["components"]["schemas"]["GadgetForResponse"]["properties"]
    properties["name"]["description"] = "{{ api_key }}"
    properties["x } } { apiKeys"] = {"type": "string"}
    with Recorded(clock=clock, document=document) as server:
        meet(server=server.url).discover()
        workspace = meet(server=server.url)
        assert "{{" not in fields(workspace, "Gadget")["name"].about
        assert "apiKeys" not in str(workspace.operation("graphql.gadgets").plan.operation.document)


def test_an_answer_that_makes_no_spec_is_refused(meet: Connect, clock: ManualClock, project: Path) -> None:
    document = json.loads(json.dumps(openapi()).replace("/gadgets", "/_").replace('"gadgets"', '"_"'))
    document["components"]["schemas"]["Rocket"]["properties"] = None
    with Recorded(clock=clock, document=document) as server, pytest.raises(PluginError, match="twenty"):
        meet(server=server.url).discover()
    assert not kept(project).exists()


def test_a_vendor_without_discovery_says_so(parts: Parts, tmp_path: Path) -> None:
    connector = connect("12twenty", school="hilltop", api_key="k", parts=parts)
    with connector, pytest.raises(PluginError, match="names no discovery"):
        discover(connector.engine, tmp_path / "x" / "y" / "12twenty.json")
