"""The workspace's data model: objects and their fields, read from the table and changed at run time."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

TABLE = Path(__file__).with_name("objects.txt")
APPLICATION = "538559e6-de59-4d3d-bad4-9e738aa691c2"
SYSTEM_FIELDS = {"id", "createdAt", "updatedAt", "deletedAt", "position", "createdBy", "updatedBy", "searchVector"}
READ_ONLY_FIELDS = {"id", "createdAt", "updatedAt", "deletedAt", "createdBy", "updatedBy"}
NOT_NULL_FIELDS = {"id", "createdAt", "updatedAt", "position", "createdBy", "updatedBy"}
# Labels and icons of the fields that every object has; other icons are not in the table.
SYSTEM_LABELS = {
    "id": ("Id", "Icon123"),
    "createdAt": ("Creation date", "IconCalendar"),
    "updatedAt": ("Last update", "IconCalendarClock"),
    "deletedAt": ("Deleted at", "IconCalendarMinus"),
    "position": ("Position", "IconHierarchy2"),
    "createdBy": ("Created by", "IconCreativeCommonsSa"),
    "updatedBy": ("Updated by", "IconUserCircle"),
    "searchVector": ("Search vector", "IconUser"),
}
# Objects that get a relation from every custom object, in the order in which the server adds them.
LINKED_TO_ALL = ("timelineActivity", "attachment", "noteTarget", "taskTarget")


def label_of(name: str) -> str:
    """`noteTargets` -> `Note Targets`."""
    return capital(re.sub(r"(?<=[a-z0-9])([A-Z])", r" \1", name))


def capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def named_id(*parts: str) -> str:
    """The same UUID for the same names, in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


@attrs.define(eq=False)
class Field:
    """One field. A relation to one has `target`; a relation to many has `target` and the `inverse` field there."""

    name: str
    type: str
    id: str
    label: str = ""
    description: str = ""
    icon: str | None = "IconBox"
    options: tuple[str, ...] = ()
    option_details: list[dict[str, Any]] | None = None
    default: Any = None
    fractional: bool = False
    unique: bool = False
    single: bool = False
    """Emails, phones or files of which there is at most one."""
    required: bool = False
    nullable: bool = True
    active: bool = True
    target: str = ""
    inverse: str = ""
    through: str = ""
    """Of a relation to many: the field there that leads on to a third object."""
    settings: dict[str, Any] | None = None
    application: str = APPLICATION
    created: float = 0.0
    updated: float = 0.0

    @property
    def is_relation(self) -> bool:
        return self.type in ("RELATION", "MORPH_RELATION")

    @property
    def to_many(self) -> bool:
        return self.is_relation and bool(self.inverse)

    @property
    def column(self) -> str:
        """The key in records: a relation to one is kept as `<name>Id`; relations to many have none."""
        if self.to_many:
            return ""
        return f"{self.name}Id" if self.is_relation else self.name


@attrs.define(eq=False)
class ObjectType:
    """One object of the model, such as person/people."""

    singular: str
    plural: str
    id: str
    label_singular: str = ""
    label_plural: str = ""
    description: str = ""
    icon: str | None = "IconBox"
    custom: bool = False
    active: bool = True
    application: str = APPLICATION
    created: float = 0.0
    updated: float = 0.0
    fields: dict[str, Field] = attrs.field(factory=dict)

    def columns(self) -> Iterator[tuple[str, Field]]:
        """What records hold, in order: column name and the field behind it."""
        return ((field.column, field) for field in self.fields.values() if not field.to_many)

    def by_column(self, column: str) -> Field | None:
        return next((field for name, field in self.columns() if name == column), None)

    def relations(self) -> Iterator[Field]:
        return (field for field in self.fields.values() if field.is_relation)

    @property
    def type_name(self) -> str:
        return capital(self.singular)


@attrs.define(eq=False)
class Model:
    """Objects by singular name, in the order of the table."""

    objects: dict[str, ObjectType] = attrs.field(factory=dict)

    def plural(self, name: str) -> ObjectType | None:
        return next((thing for thing in self.objects.values() if thing.plural == name and thing.active), None)

    def by_id(self, object_id: str) -> ObjectType | None:
        return next((thing for thing in self.objects.values() if thing.id == object_id), None)

    def field_by_id(self, field_id: str) -> tuple[ObjectType, Field] | None:
        found = ((thing, field) for thing in self.objects.values() for field in thing.fields.values())
        return next((pair for pair in found if pair[1].id == field_id), None)

    def keep_only(self, plurals: Iterable[str]) -> None:
        """Forget the other objects, and the relations to them."""
        kept = set(plurals)
        self.objects = {name: thing for name, thing in self.objects.items() if thing.plural in kept}
        for thing in self.objects.values():
            gone = [field.name for field in thing.relations() if field.target not in self.objects]
            for name in gone:
                del thing.fields[name]

    def add_object(self, singular: str, plural: str, now: float = 0.0, **facts: Any) -> ObjectType:
        """A custom object with the fields and relations that the server gives to each."""
        thing = ObjectType(singular, plural, named_id(singular), custom=True, created=now, updated=now, **facts)
        thing.label_singular = thing.label_singular or label_of(singular)
        thing.label_plural = thing.label_plural or label_of(plural)
        self.objects[singular] = thing
        for line in CUSTOM_OBJECT_FIELDS:
            field = _read_field(thing, line)
            thing.fields[field.name] = field
        for name in LINKED_TO_ALL:
            if other := self.objects.get(name):
                back = f"target{thing.type_name}"
                text = f"{thing.label_plural} tied to the {label_of(other.singular)}"
                thing.fields[other.plural] = _read_field(thing, f"{other.plural} RELATION many {name}.{back} = {text}")
                text = f"{other.label_plural} {thing.label_singular}"
                other.fields[back] = _read_field(other, f"{back} MORPH_RELATION one {singular} = {text}")
        for field in thing.fields.values():
            field.created = field.updated = now
        return thing

    def remove_object(self, thing: ObjectType) -> None:
        del self.objects[thing.singular]
        for other in self.objects.values():
            for name in [field.name for field in other.relations() if field.target == thing.singular]:
                del other.fields[name]


CUSTOM_OBJECT_FIELDS = (
    "name TEXT = Name",
    "id UUID = Id",
    "createdAt DATE_TIME = Creation date",
    "createdBy ACTOR = The creator of the record",
    "deletedAt DATE_TIME = Deletion date",
    "position POSITION = Position",
    "searchVector TS_VECTOR = Field used for full-text search",
    "updatedAt DATE_TIME = Last time the record was changed",
    "updatedBy ACTOR = The workspace member who last updated the record",
)


def load_model(now: float) -> Model:
    """The recorded workspace's model (33 objects, 583 fields), as if made at `now`."""
    model = Model()
    thing: ObjectType | None = None
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(" ") and thing is not None:
            field = _read_field(thing, line.strip())
            field.created = field.updated = now
            thing.fields[field.name] = field
        else:
            thing = _read_object(line)
            thing.created = thing.updated = now
            model.objects[thing.singular] = thing
    return model


def _read_object(line: str) -> ObjectType:
    head, _, description = line.partition(" = ")
    singular, plural, *rest = head.split()
    object_id = rest[0].removeprefix("id=") if rest else named_id(singular)
    labels = ("Person", "People") if singular == "person" else (label_of(singular), label_of(plural))
    return ObjectType(singular, plural, object_id, *labels, description)


def _read_field(thing: ObjectType, line: str) -> Field:
    head, _, description = line.partition(" = ")
    name, kind, *words = head.split()
    label, icon = SYSTEM_LABELS.get(name, (label_of(name), "IconBox"))
    field = Field(name, kind, named_id(thing.singular, name), label, description, icon)
    field.nullable = name not in NOT_NULL_FIELDS
    if kind in ("RELATION", "MORPH_RELATION"):
        count, target, *words = words
        field.target, _, field.inverse = target.partition(".")
        if (count == "many") != bool(field.inverse):
            raise ValueError(f"{thing.singular}.{name}: {line}")
    for word in words:
        if word in ("unique", "single", "required"):
            setattr(field, word, True)
        elif word == "float":
            field.fractional = True
        elif word.startswith("through="):
            field.through = word.removeprefix("through=")
        elif word.startswith("default="):
            field.default = json.loads(word.removeprefix("default="))
        else:
            field.options = tuple(word.split(","))
    return field
