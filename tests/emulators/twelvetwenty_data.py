"""Made-up records of one 12Twenty school: the same for the same numbers, whatever the day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from emulators.exchange import Record

FIRST_NAMES = ("Ada", "José", "Łukasz", "Mei", "Oluwaseun", "Sofia", "Liam", "Zoë", "Nikhil", "Anaïs", "O'Neil", "李")
LAST_NAMES = ("Nguyen", "García", "Smith", "Müller", "Okafor", "Kowalski", "D'Angelo", "van den Berg", "Åström", "Wu")

# One school's lookups. No source says that the ids are the same elsewhere.
LOOKUPS: dict[int, tuple[str, tuple[str, ...]]] = {
    102: ("Academic Term", ("Spring", "Summer", "Fall", "Winter")),
    119: ("College", ("Business", "Engineering", "Arts & Sciences")),
    141: ("Degree", ("MBA", "MS", "BA")),
    142: ("Degree Level", ("Masters", "Undergraduate", "Doctorate")),
    144: ("Department", ("Finance", "Marketing")),
    150: ("Ethnicity", ("Asian", "Black", "Hispanic", "White", "Two or more")),
    176: ("Country", ("United States", "Canada", "India", "Türkiye", "Côte d'Ivoire")),
    277: ("Major", ("Accounting", "Computer Science")),
    278: ("Minor", ("Economics", "Spanish")),
    285: ("Work Authorization", ("Citizen", "Visa required", "Permanent resident")),
    900: ("Interests", ("Chess", "Rowing", "Theatre", "Code", "Debate")),  # made up: behind a custom attribute
}

# Student fields whose value is an Id object, with the lookup behind them.
PICKED: dict[str, int] = {
    "GraduationTerm": 102,
    "Program": 141,
    "College": 119,
    "DegreeLevel": 142,
    "WorkAuthorization": 285,
    "Ethnicity1": 150,
    "Ethnicity2": 150,
    "CountryOfCitizenship": 176,
}
FIRST_YEARS = 10607302981930  # an Id object too; which lookup is behind it no source says
ADVISORS = ("AssignedAdvisor", "AssignedAdvisor2", "AssignedAdvisor3", "AssignedAdvisor4", "AssignedAdvisor5")
OUTCOMES = ("OutcomeStatusInternship", "OutcomeStatusPostGraduation")

# What each field may hold when it is written; null is always good, and a field not named here is kept as it comes.
# The kinds are read from the sources' samples; where they show none (Gender, GraduationClass) anything is taken.
STUDENT_KINDS: dict[str, str] = {
    **dict.fromkeys(("StudentId", "FirstName", "MiddleName", "LastName", "FullName"), "text"),
    **dict.fromkeys(("EmailAddress", "PreferredEmailAddress", "LinkedInProfileUrl"), "text"),
    **dict.fromkeys(("IsEnrolled", "IsAlumni", "IncludeInResumeBook", "HasPhoto"), "bool"),
    "IsMultipleEnrollmentLinkedAccount": "bool",
    "MultipleEnrollmentLinkedAccountUserId": "int",
    "JoinDate": "datetime",
    **dict.fromkeys(("Id", "GraduationYearId", "RoleId", "VisibilityId"), "int"),
    **dict.fromkeys((*PICKED, "YearsExperience", *ADVISORS, *OUTCOMES), "id_object"),
    **dict.fromkeys(("StudentGroups", "StudentClubs", "Addresses"), "list"),
    "CustomAttributeValues": "custom",
}
COMPANY_KINDS: dict[str, str] = {
    **dict.fromkeys(("Name", "Website", "NumberOfEmployeesName", "AccountManagerName", "OutreachLeadName"), "text"),
    **dict.fromkeys(("OutreachPriorityName", "ParentCompanyName"), "text"),
    **dict.fromkeys(("Id", "ParentId"), "int"),
    "Industries": "list",
    "IsAdminApproved": "bool",
    **dict.fromkeys(("CreateDate", "ModifyDate"), "datetime"),
    "CustomAttributeValues": "custom",
}
CONTACT_KINDS: dict[str, str] = {
    **dict.fromkeys(("FirstName", "LastName", "PreferredName", "PrefixName", "CompanyName", "JobTitle"), "text"),
    **dict.fromkeys(("EmailAddress", "AlternateEmailAddress", "OfficePhone", "CellPhone", "Fax"), "text"),
    **dict.fromkeys(("LinkedInProfileUrl", "AlumniGraduationProgramName", "AssignedAdvisorName"), "text"),
    "AdditionalInformation": "text",
    **dict.fromkeys(("Id", "CompanyId", "AlumniGraduationYear"), "int"),
    **dict.fromkeys(("IsAlumni", "IsPrimary", "HasPhoto", "IsAdminApproved"), "bool"),
    "Location": "map",
    **dict.fromkeys(("CreateDate", "ModifyDate"), "datetime"),
    "CustomAttributeValues": "custom",
}
NOTE_KINDS: dict[str, str] = {
    **dict.fromkeys(("PrimaryEntityTypeId", "PrimaryEntityId", "PrimaryEntityTypeID", "PrimaryEntityID"), "int"),
    **dict.fromkeys(("AssociatedEntityType1Id", "AssociatedEntity1Id"), "int"),
    **dict.fromkeys(("AssociatedEntityType2Id", "AssociatedEntity2Id"), "int"),
    **dict.fromkeys(("Id", "StudentNoteTypeId", "CompanyNoteTypeId", "OwnerId", "FileId", "VisibilityId"), "int"),
    **dict.fromkeys(("Text", "StudentNoteTypeName", "CompanyNoteTypeName", "OwnerName", "CreatorName"), "text"),
    "FileName": "text",
    **dict.fromkeys(("Date", "ModifyDate"), "datetime"),
    "CampaignIds": "list",
}

# The properties that partial list items carry.
LISTED: dict[str, tuple[str, ...]] = {
    "students": (
        *("Id", "StudentId", "FirstName", "LastName", "FullName"),
        *("EmailAddress", "GraduationYearId", "ModifyDate"),
    ),
    "companies": ("Id", "Name", "IsAdminApproved", "ModifyDate"),
    "contacts": ("Id", "CompanyId", "FirstName", "LastName", "IsAdminApproved", "ModifyDate"),
    "notes": ("Id", "PrimaryEntityTypeId", "PrimaryEntityId", "Date", "ModifyDate"),
    "job_postings": (
        *("Id", "JobTitle", "TitleDisplay", "CompanyId", "CompanyName", "LocationDisplay", "JobPostingJobTypeNames"),
        *("PostedDate", "CreateDate", "ModifyDate", "ApplicationDeadlineDate", "NumApplicants", "StatusName"),
        *("IsApplied", "ExternalJobPostingSourceId", "OciId", "InterviewDates"),
    ),
}

FIRST_ID = {
    "students": 270067010400000,
    "companies": 281474976710000,
    "contacts": 290000000100000,
    "notes": 300000000200000,
    "events": 310000000300000,
    "job_postings": 320000000400000,
    "calendar": 270067010486464,
}
START = datetime(2024, 1, 8, 6, 0, 0, tzinfo=UTC)


def zoneless(moment: datetime) -> str:
    """`2020-05-20T18:25:43`, with a fraction (zeros at its end left out) when there is one, never a zone."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
    return f"{text}.{fraction}" if fraction else text


def modified(index: int) -> str:
    """A date for the record of that index: spread over months, with fractions of none to three digits."""
    return zoneless(START + timedelta(seconds=index * 611, milliseconds=(0, 437, 500, 170)[index % 4]))


def option_id(lookup: int, number: int) -> int:
    return 10607302980000 + lookup * 100 + number


def options(lookup: int) -> list[Record]:
    return [{"Id": option_id(lookup, n), "Name": name} for n, name in enumerate(LOOKUPS[lookup][1])]


# Custom attributes of this school, with the lookup behind them.
CUSTOM: dict[str, int | None] = {
    "custom_attribute_10607302981934": None,
    "custom_attribute_10607302981935": None,
    "custom_attribute_10607302981936": 900,
}


def attributes() -> list[Record]:
    """Every attribute of every module: the student's pick-lists, custom ones, and one of companies."""
    fields = [*PICKED, *CUSTOM]
    made = [_attribute(number, name, PICKED.get(name, CUSTOM.get(name))) for number, name in enumerate(fields)]
    # 2001 is made up: no source names the type of companies.
    company = _attribute(len(fields), "Industries", None) | {"EntityTypeId": 2001, "EntityTypeName": "Company"}
    return [*made, company]


def _attribute(number: int, name: str, lookup: int | None) -> Record:
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return {
        "Id": 10607302970000 + number,
        "Name": snake,
        "ShortDisplayName": name[:12],
        "LongDisplayName": name,
        "EntityTypeId": 1001,
        "EntityTypeName": "Student",
        "CustomFormId": 77 if name in CUSTOM else None,
        "FieldTypeId": 3 if lookup else 1,
        "FieldTypeName": "Lookup" if lookup else "Text",
        "IsCore": name not in CUSTOM,
        "IsStandard": name not in CUSTOM,
        "ValuePropertyNames": [name],
        "DisplayPropertyNames": [f"{name}.Name" if lookup else name],
        "LookupId": lookup,
        "LookupName": LOOKUPS[lookup][0] if lookup else None,
    }


ATTRIBUTE_OF: Mapping[str, int] = {name: 10607302970000 + number for number, name in enumerate(PICKED)}


def id_object(field: str, option: int) -> Record:
    """What a pick-list field answers: `{Id, Name, AttributeId}`."""
    lookup = PICKED.get(field)
    names = {entry["Id"]: entry["Name"] for entry in options(lookup)} if lookup else {}
    return {"Id": option, "Name": names.get(option, f"Option {option}"), "AttributeId": ATTRIBUTE_OF.get(field)}


PICKED_OBJECTS: Mapping[str, list[Record]] = {
    name: [id_object(name, entry["Id"]) for entry in options(lookup)] for name, lookup in PICKED.items()
}


def student(index: int, year: int) -> Record:
    """All the properties of one student. Every 90th is a second account of the student before."""
    chance = Random(index * 7919 + year)
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    linked = index % 90 == 89
    number = index - 1 if linked else index
    picked = {name: dict(chance.choice(entries)) for name, entries in PICKED_OBJECTS.items()}
    return {
        "Id": FIRST_ID["students"] + index * 13,
        "StudentId": f"S{number:07d}",
        "FirstName": first,
        "MiddleName": None if index % 3 else "Q.",
        "LastName": last,
        "FullName": f"{first} {last}",
        "EmailAddress": f"s{index:07d}@hilltop.example",
        "PreferredEmailAddress": None if index % 4 else f"student.{index}@mail.example",
        "LinkedInProfileUrl": None,
        "Gender": ("Female", "Male", None)[index % 3],
        "IsEnrolled": index % 10 != 0,
        "IsAlumni": index % 10 == 0,
        "JoinDate": f"{year - 2}-08-22T00:00:00",
        "GraduationYearId": year,
        "GraduationClass": f"Class of {year}",
        "YearsExperience": {"Id": FIRST_YEARS + index % 9, "Name": f"{index % 9} years", "AttributeId": 10607302970099},
        **picked,
        "StudentGroups": [{"Id": 500 + index % 4, "Name": f"Group {index % 4}"}],
        "StudentClubs": [],
        "Addresses": [{"CityName": "Bloomington", "ZipCode": f"{47400 + index % 90}"}] if index % 2 else [],
        "RoleId": 2,
        "VisibilityId": 1,
        "IncludeInResumeBook": index % 2 == 0,
        "HasPhoto": index % 5 == 0,
        "AssignedAdvisor": {"Id": 270067010300001 + index % 6, "Name": f"Advisor {index % 6}", "AttributeId": None},
        **dict.fromkeys(ADVISORS[1:]),
        **dict.fromkeys(OUTCOMES),
        "IsMultipleEnrollmentLinkedAccount": linked,
        "MultipleEnrollmentLinkedAccountUserId": FIRST_ID["students"] + number * 13 if linked else None,
        "CustomAttributeValues": custom_values(index),
        # Made up: stands for the properties of the school's own that no source names, and that a PUT must keep.
        "ProfileCompletenessPercent": index % 101,
        # Assumed: no source shows this one on students.
        "ModifyDate": modified(index),
    }


def custom_values(index: int) -> Record:
    """Custom attributes: a text, a boolean as text, several options in one text."""
    return {
        "custom_attribute_10607302981934": f"note {index}",
        "custom_attribute_10607302981935": "True" if index % 2 else "False",
        "custom_attribute_10607302981936": f"{option_id(900, 1)},{option_id(900, index % 5)}",
    }


def company(index: int) -> Record:
    return {
        "Id": FIRST_ID["companies"] + index * 17,
        "Name": f"{LAST_NAMES[index % len(LAST_NAMES)]} & Co. {index}",
        "Website": f"https://company{index}.example",
        "NumberOfEmployeesName": ("1-50", "51-500", "500+")[index % 3],
        "AccountManagerName": f"Advisor {index % 6}",
        "OutreachLeadName": None,
        "OutreachPriorityName": ("High", "Low")[index % 2],
        "Industries": [{"Id": 700 + index % 5, "Name": f"Industry {index % 5}"}],
        "ParentId": FIRST_ID["companies"] if index % 10 == 9 else None,
        "ParentCompanyName": f"{LAST_NAMES[0]} & Co. 0" if index % 10 == 9 else None,
        "IsAdminApproved": index % 8 != 7,
        "CreateDate": "2019-03-01T09:30:00",
        "ModifyDate": modified(index),
        "CustomAttributeValues": custom_values(index),
    }


def contact(index: int, companies: int) -> Record:
    of = index % max(companies, 1)
    return {
        "Id": FIRST_ID["contacts"] + index * 19,
        "FirstName": FIRST_NAMES[index % len(FIRST_NAMES)],
        "LastName": LAST_NAMES[index % len(LAST_NAMES)],
        "PreferredName": None,
        "PrefixName": ("Dr.", None)[index % 2],
        "CompanyId": FIRST_ID["companies"] + of * 17,
        "CompanyName": company(of)["Name"],
        "JobTitle": "Recruiter",
        "EmailAddress": f"contact{index}@company{of}.example",
        "AlternateEmailAddress": None,
        "OfficePhone": f"+1 812 555 {index:04d}",
        "CellPhone": None,
        "Fax": None,
        "IsAlumni": index % 4 == 0,
        "IsPrimary": index % 3 == 0,
        "LinkedInProfileUrl": None,
        "Location": {
            **{"AddressLine1": f"{index} Main St", "AddressLine2": None, "ZipCode": "47401"},
            **{"CityName": "Bloomington", "CountryName": "United States"},
        },
        "AlumniGraduationYear": 2010 if index % 4 == 0 else None,
        "AlumniGraduationProgramName": "MBA" if index % 4 == 0 else None,
        "AssignedAdvisorName": None,
        "CompanyHistory": [],
        "HasPhoto": False,
        "AdditionalInformation": None,
        "IsAdminApproved": index % 8 != 7,
        "CreateDate": "2019-03-01T09:30:00",
        "ModifyDate": modified(index),
        "CustomAttributeValues": {},
    }


def note(index: int) -> Record:
    """Company notes (2201) and contact notes (2301) in turn."""
    on_company = index % 2 == 0
    return {
        "Id": FIRST_ID["notes"] + index * 23,
        "PrimaryEntityTypeId": 2201 if on_company else 2301,
        "PrimaryEntityId": FIRST_ID["companies"] if on_company else FIRST_ID["contacts"],
        **dict.fromkeys(("AssociatedEntityType1Id", "AssociatedEntity1Id")),
        **dict.fromkeys(("AssociatedEntityType2Id", "AssociatedEntity2Id")),
        "Text": f"Met them at the fair, time {index}.\nThey said “yes”.",
        "Date": modified(index * 3),
        "StudentNoteTypeId": None,
        "StudentNoteTypeName": None,
        "CompanyNoteTypeId": 4 if on_company else None,
        "CompanyNoteTypeName": "Visit" if on_company else None,
        "OwnerId": 270067010300001,
        "OwnerName": "Advisor 0",
        "CreatorName": "Advisor 0",
        "FileId": None,
        "FileName": None,
        "VisibilityId": 1,
        "CampaignIds": [],
        "ModifyDate": modified(index),
    }


def event(index: int) -> Record:
    """The two properties that a source shows, the id, and a made-up name."""
    return {
        "Id": FIRST_ID["events"] + index * 29,
        "CompanyId": FIRST_ID["companies"] + index * 17,
        "StartDate": zoneless(START + timedelta(days=index)),
        "Name": f"Career fair {index}",
    }


def job_posting(index: int) -> Record:
    company_name = company(index % 20)["Name"]
    return {
        "Id": FIRST_ID["job_postings"] + index * 31,
        "JobTitle": f"Analyst {index}",
        "TitleDisplay": f"Analyst {index} – {company_name}",
        "CompanyId": FIRST_ID["companies"] + (index % 20) * 17,
        "CompanyName": company_name,
        "LocationDisplay": "Chicago, IL",
        "JobPostingJobTypeNames": "Full-Time",
        "PostedDate": "2026-06-10T19:30:14",
        "CreateDate": "2026-06-09T08:00:00",
        "ModifyDate": modified(index),
        "ApplicationDeadlineDate": None if index % 5 == 0 else "2026-07-31T03:59:00",
        "NumApplicants": index % 12,
        "StatusName": "Approved" if index % 2 else "Open for applications",
        "IsApplied": False,
        "ExternalJobPostingSourceId": None,
        "OciId": 0 if index % 6 else 8001 + index,
        "InterviewDates": [] if index % 6 else ["2026-09-15T13:00:00"],
        "Description": f"<p>Work no. {index} &amp; more</p>",
        "IndustryId": 700 + index % 5,
        "IndustryIds": [700 + index % 5],
        "Industries": [{"Id": 700 + index % 5, "Name": f"Industry {index % 5}"}],
        **dict.fromkeys(("ShouldApplyViaSite", "ShouldApplyExternally"), True),
        **dict.fromkeys(("ShouldApplyViaEmail", "ShouldApplyViaFax", "ShouldApplyViaMail"), False),
        "BaseSalary": 85000.5 + index,
        "CurrencyName": "USD",
        "PayFormatName": "Annual",
        "CustomAttributeValues": {},
    }
