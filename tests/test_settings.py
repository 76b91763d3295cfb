"""Settings are found in the order that is promised, and what is missing or wrong is said all at once."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.errors import SettingError
from connectory.secrets import Secret
from connectory.settings import (
    Project,
    Resolved,
    SettingWanted,
    find_project,
    places_looked_at,
    resolve_settings,
    variable_name,
)

CANARY = "Hush-canary-4711"

SCHOOL = SettingWanted("school", secret=False, required=True, default=None, about="name of the school in its address")
KEY = SettingWanted(
    "api_key", secret=True, required=True, default=None, about="the school's key", obtain="ask customer success"
)
PAGE = SettingWanted("page_size", secret=False, required=False, default=500)
SERVER = SettingWanted("server", secret=False, required=False, default=None)
WANTED = [SCHOOL, KEY, PAGE, SERVER]


def project(folder: Path, text: str) -> Project:
    (folder / "connectory.toml").write_text(text, encoding="utf-8")
    found = find_project(folder)
    assert found is not None
    return found


def resolve(
    given: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    project: Project | None = None,
    **more: Any,
) -> dict[str, Resolved]:
    wanted = more.pop("wanted", WANTED)
    return resolve_settings("12school", wanted, given or {}, environ or {}, project, {}, **more)


def refusal(*arguments: Any, **more: Any) -> str:
    """What the error says; nothing that a report of it could show has the canary in it."""
    with pytest.raises(SettingError) as error:
        resolve(*arguments, **more)
    assert CANARY not in told(error.value)
    return str(error.value)


def told(error: BaseException) -> str:
    """Message, causes, and the variables of every frame below the helpers of this file."""
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        trace = seen.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        texts += traceback.TracebackException(type(seen), seen, trace, capture_locals=True).format(chain=False)
        texts += [repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


FILE = """
[profiles.default.12school]
school = "of the file"
api_key = "env:KEY_OF_FILE"
page_size = 50

[profiles.trial.12school]
school = "trial"
api_key = "file:keys/trial"
server = "sandbox"
"""


# Where settings are found


def test_keyword_comes_before_environment_before_file_before_default(tmp_path: Path) -> None:
    home = project(tmp_path, FILE)
    environ = {"KEY_OF_FILE": "k"}
    assert resolve({}, environ, home)["school"] == Resolved(
        "of the file", f"{tmp_path / 'connectory.toml'} [profiles.default.12school]"
    )
    environ["CONNECTORY_12SCHOOL_SCHOOL"] = "of the environment"
    assert resolve({}, environ, home)["school"] == Resolved(
        "of the environment", "environment CONNECTORY_12SCHOOL_SCHOOL"
    )
    assert resolve({"school": "given"}, environ, home)["school"] == Resolved("given", "keyword school")
    assert resolve({"school": "x", "api_key": "k"})["page_size"] == Resolved(500, "default")
    assert resolve({"school": "x", "api_key": "k"})["server"] == Resolved(None, "not given")


def test_none_and_an_empty_variable_count_as_not_given(tmp_path: Path) -> None:
    environ = {"KEY_OF_FILE": "k", "CONNECTORY_12SCHOOL_SCHOOL": ""}
    assert resolve({"school": None}, environ, project(tmp_path, FILE))["school"].value == "of the file"


@pytest.mark.parametrize("given", [{"api_key": CANARY}, {"api_key": Secret(CANARY)}, {}])
def test_secrets_arrive_wrapped(given: dict[str, Any]) -> None:
    found = resolve({"school": "x", **given}, {"CONNECTORY_12SCHOOL_API_KEY": CANARY})["api_key"]
    assert found.value == Secret(CANARY)
    assert CANARY not in repr(found)


def test_secrets_are_references_anywhere(tmp_path: Path) -> None:
    environ = {"KEY_OF_FILE": "from the file's", "OTHER": "from the other"}
    home = project(tmp_path, FILE)
    assert resolve({}, environ, home)["api_key"].value == Secret("from the file's")
    assert resolve({"api_key": "env:OTHER"}, environ, home)["api_key"].value == Secret("from the other")
    environ["CONNECTORY_12SCHOOL_API_KEY"] = "env:OTHER"
    assert resolve({}, environ, home)["api_key"].value == Secret("from the other")


def test_a_plugin_brings_its_scheme_and_cannot_replace_a_built_in_one(tmp_path: Path) -> None:
    home = project(tmp_path, '[profiles.default.12school]\nschool = "x"\napi_key = "vault:kv/key"\n')
    resolvers = {"vault": lambda path: f"of {path}", "env": lambda name: "stolen"}
    found = resolve_settings("12school", WANTED, {}, {"K": "k"}, home, resolvers)
    assert found["api_key"].value == Secret("of kv/key")
    found = resolve_settings("12school", WANTED, {"api_key": "env:K"}, {"K": "k"}, home, resolvers)
    assert found["api_key"].value == Secret("k")


def test_a_profile_stands_alone_and_its_files_are_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = project(tmp_path, FILE)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "trial").write_text("trial key\n")
    (tmp_path / "keys" / "trial").chmod(0o600)
    monkeypatch.chdir("/")
    for chosen in (
        resolve({}, {}, home, profile="trial"),
        resolve({}, {"CONNECTORY_PROFILE": "trial"}, home),
        resolve({}, {"CONNECTORY_PROFILE": "default"}, home, profile="trial"),
    ):
        assert chosen["school"].value == "trial"
        assert chosen["server"].value == "sandbox"
        assert chosen["api_key"].value == Secret("trial key")
        assert chosen["page_size"].value == 500  # not the 50 of the default profile


def test_values_of_the_file_are_texts_for_the_type_to_read(tmp_path: Path) -> None:
    names = ["text", "number", "fraction", "yes", "day", "moment"]
    wanted = [SettingWanted(name, secret=False, required=True, default=None) for name in names]
    home = project(
        tmp_path,
        "[profiles.default.12school]\ntext = '0478'\nnumber = 42\nfraction = 0.5\nyes = true\n"
        "day = 2026-05-20\nmoment = 2026-05-20T08:30:00Z\n",
    )
    found = resolve({}, {}, home, wanted=wanted)
    values = [found[name].value for name in names]
    assert values == ["0478", "42", "0.5", "true", "2026-05-20", "2026-05-20T08:30:00+00:00"]


def test_the_default_of_a_secret_is_wrapped_too() -> None:
    wanted = [SettingWanted("key", secret=True, required=True, default="public-demo-key")]
    assert resolve(wanted=wanted)["key"] == Resolved(Secret("public-demo-key"), "default")


@pytest.mark.parametrize(
    ("vendor", "setting", "name"),
    [
        ("12twenty", "api_key", "CONNECTORY_12TWENTY_API_KEY"),
        ("acme-eu.v2", "server", "CONNECTORY_ACME_EU_V2_SERVER"),
        ("é", "x", "CONNECTORY___X"),
    ],
)
def test_the_name_of_the_variable(vendor: str, setting: str, name: str) -> None:
    assert variable_name(vendor, setting) == name


# What is missing or wrong


def test_a_missing_setting_names_every_place_and_where_to_get_it(tmp_path: Path) -> None:
    said = refusal()
    assert "12school: the setting 'school' is missing (name of the school in its address)" in said
    assert "12school: the secret 'api_key' is missing (the school's key)" in said
    assert "the keyword api_key; the environment variable CONNECTORY_12SCHOOL_API_KEY; " in said
    assert "api_key in [profiles.default.12school] of connectory.toml (there is none in this folder or above)" in said
    assert "where to get it: ask customer success" in said

    home = project(tmp_path, "[profiles.trial.12schol]\nschool = 'x'\n")
    said = refusal(project=home, profile="trial")
    file = tmp_path / "connectory.toml"
    assert f"school in [profiles.trial.12school] of {file} (there is no such table; did you mean '12schol'?)" in said


def test_a_project_without_a_file_is_told_which_file_it_could_have(tmp_path: Path) -> None:
    looked = places_looked_at("acme", "key", Project(tmp_path), "two words")
    assert looked.endswith(f'[profiles."two words".acme] of {tmp_path / "connectory.toml"} (there is no such file)')


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    home = project(tmp_path, "[profiles.default.12school]\nschol = 'x'\n")
    said = refusal({"apikey": CANARY, "page_size": None}, {"OTHER": CANARY}, home)
    assert "no setting 'apikey'; did you mean 'api_key'? (settings: school, api_key, page_size, server)" in said
    assert f"{tmp_path / 'connectory.toml'}:2:1 profiles/default/12school/schol: no setting 'schol'; did you" in said
    assert "setting 'school' is missing" in said
    assert "secret 'api_key' is missing" in said


def test_an_unset_reference_is_an_error_and_never_a_literal(tmp_path: Path) -> None:
    environ = {"OTHER": CANARY}
    assert "(keyword api_key): env:UNSET: the environment variable UNSET is not set" in refusal(
        {"school": "x", "api_key": "env:UNSET"}, environ
    )
    said = refusal({}, environ, project(tmp_path, FILE))
    assert said == (
        f"{tmp_path / 'connectory.toml'}:4:1 profiles/default/12school/api_key:"
        " env:KEY_OF_FILE: the environment variable KEY_OF_FILE is not set"
    )


def test_a_wrong_reference_does_not_fall_through_to_the_next_place() -> None:
    environ = {"CONNECTORY_12SCHOOL_API_KEY": "good"}
    assert "env:UNSET" in refusal({"school": "x", "api_key": "env:UNSET"}, environ)


def test_a_vault_without_its_plugin_is_no_literal() -> None:
    environ = {"CONNECTORY_12SCHOOL_API_KEY": "vault:kv/hilltop#key"}
    assert "no plug-in supplies 'vault:' (there are env:, file:, keyring:)" in refusal({"school": "x"}, environ)


@pytest.mark.parametrize("profile", ["default", "other"])
def test_a_literal_secret_in_the_file_is_refused_in_any_profile(profile: str, tmp_path: Path) -> None:
    home = project(tmp_path, f"[profiles.{profile}.12school]\nschool = 'x'\napi_key = '{CANARY}'\n")
    said = refusal({"school": "x", "api_key": "good"}, {}, home)
    assert said.startswith(f"{tmp_path / 'connectory.toml'}:3:1 profiles/{profile}/12school/api_key: a secret must not")
    assert "write a reference (env:NAME, file:PATH, keyring:NAME), or set CONNECTORY_12SCHOOL_API_KEY" in said
    assert CANARY not in repr(home)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (4711, "a secret is a text, not int"),
        ("", "the secret is empty"),
        (Secret(""), "the secret is empty"),
        (f"{CANARY}\n", "the secret holds a line break or another control character"),
        (f"{CANARY}\x00", "the secret holds a line break or another control character"),
        (f"{CANARY}\r\nX-Other: 1", "the secret holds a line break or another control character"),
    ],
)
def test_values_that_can_be_no_secret(value: Any, why: str) -> None:
    said = refusal({"school": "x", "api_key": value})
    assert said == f"12school: setting 'api_key' (keyword api_key): {why}"


def test_a_private_key_may_have_lines() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
    assert resolve({"school": "x", "api_key": key})["api_key"].value == Secret(key)


def test_what_is_no_secret_cannot_be_a_reference() -> None:
    said = refusal({"school": "env:SCHOOL", "api_key": "k"}, {"SCHOOL": CANARY})
    assert "setting 'school' (keyword school): references are for secrets" in said


def test_canaries_do_not_show_when_something_else_is_wrong(tmp_path: Path) -> None:
    home = project(tmp_path, FILE)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "trial").write_bytes(b"\xff" + CANARY.encode())
    environ = {"UNRELATED": CANARY}
    refusal({"api_key": CANARY, "unknown": CANARY}, environ, home)
    refusal({}, environ, home, profile="trial")
    refusal({"api_key": Secret(CANARY)}, {}, home, profile="nowhere")


def test_an_unknown_profile_names_the_nearest(tmp_path: Path) -> None:
    home = project(tmp_path, FILE)
    said = refusal({"school": "x", "api_key": "k"}, {}, home, profile="trail")
    assert "there is no profile 'trail'; did you mean 'trial'? (profiles: default, trial)" in said
    assert "profile 'trial': there is no connectory.toml" in refusal(
        {"school": "x", "api_key": "k"}, {"CONNECTORY_PROFILE": "trial"}
    )


def test_a_vendor_that_nobody_brings_is_a_fault_of_the_file(tmp_path: Path) -> None:
    home = project(tmp_path, FILE + "\n[profiles.trial.12schol]\nx = 1\n")
    given = {"school": "x", "api_key": "k"}
    assert resolve(given, {"KEY_OF_FILE": "k"}, home)
    said = refusal(given, {"KEY_OF_FILE": "k"}, home, vendors=["12school", "acme"])
    assert ":12:1 profiles/trial/12schol: no vendor '12schol'; did you mean '12school'?" in said


def test_a_misspelt_variable_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    environ = {
        "CONNECTORY_12SCHOOL_SERVR": "http://127.0.0.1:1/" + CANARY,
        "CONNECTORY_12SCHOOL_EU_API_KEY": CANARY,  # of the vendor 12school-eu
        "CONNECTORY_12SCHOOL_SCHOOL": "x",
        "CONNECTORY_OTHER_SERVR": "x",
    }
    with caplog.at_level(logging.WARNING):
        resolve({"api_key": "k"}, environ, vendors=["12school", "12school-eu"])
    assert [record.getMessage() for record in caplog.records] == [
        "the environment variable CONNECTORY_12SCHOOL_SERVR is no setting of 12school; did you mean 'server'?"
    ]


# The project


def test_the_nearest_file_upwards_makes_the_project(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    (inner / "specs").mkdir(parents=True)
    (tmp_path / "outer" / "connectory.toml").write_text(FILE)
    found = find_project(inner / "specs")
    assert found is not None
    assert found.root == tmp_path / "outer"
    (inner / "connectory.toml").touch()
    found = find_project(inner / "specs")
    assert found == Project(inner, inner / "connectory.toml")


@pytest.mark.parametrize("folder", ["specs", "connectors", "recipes"])
def test_without_a_file_the_folder_itself_may_be_a_project(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / "elsewhere").mkdir()
    assert find_project(tmp_path) == Project(tmp_path)
    assert find_project(tmp_path / "elsewhere") is None
    assert find_project(tmp_path / folder) is None


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_folder_open_to_all_is_nobodys_project(tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "connectory.toml").write_text(FILE)
    tmp_path.chmod(0o1777)
    assert find_project(tmp_path) is None
    assert find_project(tmp_path / "mine") is None


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="there is no such folder"):
        find_project(tmp_path / "missing")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[profiles.default.acme]\nx = \n", ["2:5: Invalid value"]),
        ("x = '''", ["1:1: "]),
        ("[a]\n[a]\n", ["2:"]),
        ("profile = 1\n", ["1:1 profile: unknown key 'profile'; did you mean 'profiles'?"]),
        ("profiles = 1\n", ["1:1 profiles: expected tables [profiles.PROFILE.VENDOR]"]),
        (
            "[profiles.default]\nsite = 'x'\n",
            ["2:1 profiles/default/site: expected a table: settings stand in [profiles.default.VENDOR]"],
        ),
        (
            '[profiles."my own".acme]\n  keys = ["a"]\nmore.deep = 1\n[other]\n',
            [
                "4:1 other: unknown key 'other'; settings stand in [profiles.default.VENDOR]",
                "2:3 profiles/my own/acme/keys: expected a text, a number, true or false, or a date, not a list",
                "3:1 profiles/my own/acme/more: expected a text, a number, true or false, or a date, not a table",
            ],
        ),
        (
            "[profiles.default.acme]\nx = 99999999999999999999\n",
            ["2:1 profiles/default/acme/x: expected a text, a number, true or false, or a date, not a number of more"],
        ),
        ("x = " + "9" * 5000, ["1:1: Exceeds the limit"]),
        ("x = " + "[" * 100_000, ["1:"]),
        ("# " + "x" * 1_000_000, ["1:1: is larger than 1,000,000 bytes"]),
    ],
)
def test_faults_of_the_file_are_named_by_line_all_at_once(text: str, faults: list[str], tmp_path: Path) -> None:
    file = tmp_path / "connectory.toml"
    file.write_text(text)
    with pytest.raises(SettingError) as error:
        find_project(tmp_path)
    lines = str(error.value).split("\n")
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"{file}:{fault}")


def test_a_file_with_a_secret_and_a_fault_shows_no_secret(tmp_path: Path) -> None:
    for text in (f"[profiles.default.acme]\nkey = '{CANARY}'\nx = \n", f"[profiles.default]\nkey = '{CANARY}'\n"):
        (tmp_path / "connectory.toml").write_text(text)
        with pytest.raises(SettingError) as error:
            find_project(tmp_path)
        assert CANARY not in told(error.value)


def test_a_file_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "connectory.toml").write_bytes(b"[profiles]\n# \xff\n")
    with pytest.raises(SettingError, match="is not UTF-8"):
        find_project(tmp_path)


@given(text=st.text(alphabet="[]{}=\"'profiles.default\n# 1\x00é", max_size=80))
def test_any_file_gives_a_project_or_faults(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-file"
    folder.mkdir(exist_ok=True)
    (folder / "connectory.toml").write_text(text, encoding="utf-8")
    try:
        found = find_project(folder)
    except SettingError as why:
        outcome = str(why)
    else:
        outcome = "" if found is None else f"{found.file}:"
    assert outcome.startswith(f"{folder / 'connectory.toml'}:")
