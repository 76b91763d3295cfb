"""The tables of a ledger. All moments are wall-clock epoch seconds but for `mono`."""

from __future__ import annotations

from typing import Final

SCHEMA: Final = """
CREATE TABLE note (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE budget (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    wall REAL NOT NULL,    -- both clocks at the last change
    mono REAL NOT NULL,
    held REAL NOT NULL,    -- nobody calls before
    memory REAL NOT NULL   -- seconds after which nothing here matters; -1 while only a hold is known
);
CREATE TABLE lease (
    budget INTEGER NOT NULL,
    id TEXT NOT NULL,
    counted_by REAL NOT NULL,  -- the vendor has received it by then
    expires REAL NOT NULL,
    counted INTEGER NOT NULL,  -- 1: already among the finishes
    cost INTEGER NOT NULL DEFAULT 1,
    granted REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (budget, id)
) WITHOUT ROWID;
CREATE TABLE ticket (
    budget INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    most INTEGER,              -- calls at once that its owner goes by
    ready REAL NOT NULL,       -- other budgets keep it waiting until then, at least
    expires REAL NOT NULL,
    cost INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (budget, number)
) WITHOUT ROWID;
-- Ended calls of a rolling window, numbered: this row stands for those from number - count + 1 to number.
CREATE TABLE finish (
    budget INTEGER NOT NULL,
    span REAL NOT NULL,
    number INTEGER NOT NULL,
    count INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (budget, span, number)
) WITHOUT ROWID;
-- `full` is when a bucket will have refilled for all calls that have ended.
CREATE TABLE bucket (budget INTEGER PRIMARY KEY, span REAL NOT NULL, full REAL NOT NULL);
CREATE TABLE day (
    budget INTEGER NOT NULL,
    zone TEXT NOT NULL,
    number INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (budget, zone, number)
) WITHOUT ROWID;
-- What answers told: the size of the budget, units a second that refill it, and what is left until it is full again.
CREATE TABLE told (
    budget INTEGER PRIMARY KEY,
    most INTEGER,
    refill REAL,
    left INTEGER,
    until REAL NOT NULL,
    ended REAL NOT NULL        -- when a call has last ended
);
"""
TABLES: Final = ("lease", "ticket", "finish", "bucket", "day", "told")  # those that hang on a budget
# What makes a ledger of the format before into one of this.
UPGRADE: Final = f"""
ALTER TABLE lease ADD COLUMN cost INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lease ADD COLUMN granted REAL NOT NULL DEFAULT 0;
ALTER TABLE ticket ADD COLUMN cost INTEGER NOT NULL DEFAULT 1;
{SCHEMA[SCHEMA.index("CREATE TABLE told") :]}
"""
