"""One budget's account in a SQL transaction: what is spent, who waits, how long until there is room.

Rows hold wall-clock moments, since nothing else survives a restart. When the wall clock is set, the rows are moved
along, so that a call stays as old as it is:

- Set back: all rows move back by as much. Time seems to stand still for a moment; nothing is granted too early, and
  nothing lies in the future and waits for ever.
- Set forward, told by the monotonic clock: leases, tickets and windows up to an hour move along. Longer windows
  believe the wall clock, because a computer that slept looks just the same, and its day has gone on.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from typing import Final

import attrs

from connectory.limits.budgets import DAY, Budget, Window, grain_of
from connectory.limits.instants import STEP, Instant
from connectory.limits.ledger import DEAD_SECONDS, TICKET_SECONDS, Ticket, WindowSpent, owner_is_dead
from connectory.limits.told import MOST, UNTOLD, Known, Told

_SHORT: Final = 3600.0  # windows up to here do not believe a leap forward
_DAYS_KEPT: Final = 8


@attrs.frozen
class Lack:
    """Why a budget has no room: at least so many seconds; 0 when another call has to end first."""

    seconds: float
    why: str


@attrs.frozen
class Waiting:
    """One before us in the queue."""

    most: int | None
    ready: float
    cost: int = 1


@attrs.frozen
class Held:
    """A permit under way: whether its call has been counted, what it costs, and since when it is held."""

    counted: bool
    cost: int
    granted: float


@attrs.define
class Account:
    """One budget's rows, read at `now`.

    `budget` is as the vendor has told it, where he has. `leases` are the permits held, `costs` what those cost whose
    calls are not yet counted as ended; `queue` are those before us, `place` is our own number.
    """

    db: sqlite3.Connection
    budget: Budget
    id: int
    now: float
    held: float
    known: Known = UNTOLD
    costs: list[int] = attrs.Factory(list)
    leases: dict[str, Held] = attrs.Factory(dict)
    queue: list[Waiting] = attrs.Factory(list)
    place: int | None = None

    # Room -----------------------------------------------------------------------------------------------------------

    def lacks(self) -> Iterator[Lack]:
        """Everything that stands against one more call now."""
        if self.held > self.now:
            yield Lack(self.held - self.now, "the vendor asked for a pause")
        told = self.known
        if told.left is not None and told.until > self.now:
            cost = min(self.budget.cost, max(1, told.left))
            if sum(self.costs) + self._ahead(told.until - self.now) + cost > told.left:
                yield Lack(told.until - self.now, f"the vendor says that no more than {told.left} are left")
        for window in self.budget.rolling:
            room = self.rolling_room(window)
            if room > self.now:
                yield Lack(room - self.now, self._why(window))
        for window in self.budget.days:
            used = self.day_used(window) + self._ahead(window.seconds, window.count)
            if used + min(self.budget.cost, window.count) > window.count:
                yield Lack(window.next_day(self.now) - self.now, self._why(window))
        if self.budget.bucket is not None and self.budget.burst is not None:
            wanted = self._ahead(self.budget.bucket.seconds) + min(self.budget.cost, self.budget.burst)
            lacking = self.bucket_used() + wanted - self.budget.burst
            if lacking > 1e-6:
                yield Lack(lacking / self.budget.refill, f"the bucket of {self.budget.burst} is empty")
        if self.budget.concurrent is not None:
            ahead = [waiting for waiting in self.queue if waiting.ready <= self.now]
            # One ahead who goes by a smaller number is not to be kept out by us.
            most = min([self.budget.concurrent, *(one.most for one in ahead if one.most is not None)])
            if len(self.leases) + len(ahead) >= most:
                yield Lack(0.0, f"{self.budget.concurrent} at once are under way")

    def _why(self, window: Window) -> str:
        if window.count == 1 and window.seconds == self.budget.gap:
            return f"calls keep {self.budget.gap:g} s apart"
        unit = f" {self.budget.unit} " if self.budget.unit != "calls" else " "
        return f"{str(window).replace(' ', unit, 1)} are used up"

    def _ahead(self, seconds: float, most: float = math.inf) -> int:
        """What those before us take, who must find room too: who may come before what we take now is there again.

        A call that costs more than a window holds takes all of it.
        """
        return sum(int(min(one.cost, most)) for one in self.queue if one.ready <= self.now + seconds)

    def under_way(self, most: float = math.inf) -> int:
        """What the calls under way take of a window of so much."""
        return sum(int(min(cost, most)) for cost in self.costs)

    def rolling_room(self, window: Window) -> float:
        """The least moment at which a window has room for us and those ahead. Exact, unless calls have to end first."""
        span = window.seconds
        last = self._last_finish(span)
        most = window.count
        ours = min(self.budget.cost, most)
        places = most - self.under_way(most) - self._ahead(span, most) - ours + 1  # for ended calls and one of ours
        # Where those under way and ahead fill the window, they have to pass through it first, `count` at a time.
        rounds = 0 if places > 0 else 1 + -places // window.count
        places += rounds * window.count
        left = self.now
        if last is not None and places <= last[0]:
            number = last[0] - places + 1  # the call that has to leave the window
            row = last if places == 1 else self._finish(span, number)
            if row is not None and row[0] - row[1] < number:  # else it has been forgotten, so it has left
                left = max(left, row[2] + span)
        return left + rounds * span

    def window_spent(self, window: Window) -> WindowSpent:
        """How one of the budget's windows stands."""
        now, under_way = self.now, bool(self.costs)
        if window.zone is not None:
            used, most = self.day_used(window), window.count
            whole = window.next_day(now) if used else now
            room = now if used < most else whole
        elif window is self.budget.bucket and self.budget.burst is not None:
            spent, most = self.bucket_used(), self.budget.burst
            used = math.ceil(spent - 1e-6)
            whole = now + spent / self.budget.refill
            room = now + max(0.0, spent + 1 - most) / self.budget.refill
        else:
            ended, last = self._ended(window)
            used, most = ended + self.under_way(window.count), window.count
            whole = now + window.seconds if under_way else (last or now - window.seconds) + window.seconds
            room = self.rolling_room(window)
        return WindowSpent(window, used, max(0, most - used), room, whole)

    def used(self, window: Window) -> int:
        """What is used of a window, calls under way counted."""
        if window.zone is not None:
            return self.day_used(window)
        return self._ended(window)[0] + self.under_way(window.count)

    def _ended(self, window: Window) -> tuple[int, float | None]:
        """What ended calls have used of a rolling window, and when the last of them ended."""
        ended, last = self.db.execute(
            "SELECT total(count), max(at) FROM finish WHERE budget=? AND span=? AND at>?",
            (self.id, window.seconds, self.now - window.seconds),
        ).fetchone()
        return int(ended), last

    def day_used(self, window: Window) -> int:
        """Calls of the calendar day; days beyond it were written by a clock that ran ahead."""
        (used,) = self.db.execute(
            "SELECT total(count) FROM day WHERE budget=? AND zone=? AND number>=?",
            (self.id, window.zone, window.day(self.now)),
        ).fetchone()
        return int(used) + self.under_way(window.count)

    def bucket_used(self) -> float:
        """What is missing in the bucket. A call's part begins to come back when the call has ended."""
        full = self.bucket_full()
        return self.under_way() + max(0.0, full - self.now) * self.budget.refill

    def bucket_full(self) -> float:
        row = self.db.execute("SELECT full FROM bucket WHERE budget=?", (self.id,)).fetchone()
        return float(row[0]) if row else -math.inf

    def _last_finish(self, span: float) -> tuple[int, int, float] | None:
        row: tuple[int, int, float] | None = self.db.execute(
            "SELECT number, count, at FROM finish WHERE budget=? AND span=? ORDER BY number DESC LIMIT 1",
            (self.id, span),
        ).fetchone()
        return row

    def _finish(self, span: float, number: int) -> tuple[int, int, float] | None:
        row: tuple[int, int, float] | None = self.db.execute(
            "SELECT number, count, at FROM finish WHERE budget=? AND span=? AND number>=? ORDER BY number LIMIT 1",
            (self.id, span, number),
        ).fetchone()
        return row

    # Spending -------------------------------------------------------------------------------------------------------

    def grant(self, id: str, lease_seconds: float) -> float:
        """Write the lease; returns when it ends by itself."""
        expires = self.now + lease_seconds
        counted_by = min(expires, self.now + self.budget.transit)
        self.db.execute(
            "INSERT INTO lease VALUES (?, ?, ?, ?, 0, ?, ?)",
            (self.id, id, counted_by, expires, self.budget.cost, self.now),
        )
        return expires

    def end(self, id: str, linger: float, told: Told | None = None) -> Held | None:
        """A call has ended, or will have in `linger` seconds. Returns its permit where that ends by this: unknown and
        expired ones have been counted before."""
        held = self.leases.get(id)
        if held is None:
            return None
        if linger > 0:
            self.db.execute(
                "UPDATE lease SET counted_by=min(counted_by, ?1), expires=min(expires, ?1) WHERE budget=?2 AND id=?3",
                (self.now + linger, self.id, id),
            )
            return None
        self.db.execute("DELETE FROM lease WHERE budget=? AND id=?", (self.id, id))
        del self.leases[id]
        if held.counted:
            self._charge_rest(held, told)
        else:
            self.costs.remove(held.cost)
            self._count(self.now, held.cost if told is None or told.cost is None else told.cost)
        return held

    def _charge_rest(self, held: Held, told: Told | None) -> None:
        """What a call that was counted by its estimate has cost above it, as its late answer tells."""
        above = 0 if told is None or told.cost is None else told.cost - held.cost
        if above > 0:
            self._count(self.now, above)

    def _count(self, at: float, cost: int) -> None:
        """A call was received by the vendor at `at`, at the latest."""
        if self.known != UNTOLD:
            left = None if self.known.left is None else max(0, self.known.left - cost)
            self.remember(attrs.evolve(self.known, left=left, ended=max(at, self.known.ended)))
        for window in self.budget.rolling:
            self._count_rolling(window, at, min(cost, window.count))
        for window in self.budget.days:
            self._count_day(window, cost)
        if self.budget.bucket is not None:
            self.refill_until(max(self.bucket_full(), at) + cost / self.budget.refill)

    def _count_rolling(self, window: Window, at: float, count: int) -> None:
        if not count:
            return
        span = window.seconds
        last = self._last_finish(span)
        number = (last[0] if last else 0) + count
        if last is not None:
            at = max(at, last[2])
            grain = grain_of(window)
            if grain and last[2] // grain == at // grain:
                count += last[1]
                self.db.execute("DELETE FROM finish WHERE budget=? AND span=? AND number=?", (self.id, span, last[0]))
        self.db.execute("INSERT INTO finish VALUES (?, ?, ?, ?, ?)", (self.id, span, number, count, at))
        if number > window.count:
            self.db.execute(
                "DELETE FROM finish WHERE budget=? AND span=? AND number<=? AND at<=?",
                (self.id, span, number - window.count, self.now - span),
            )

    def _count_day(self, window: Window, count: int) -> None:
        today = window.day(self.now)
        self.db.execute(
            "INSERT INTO day VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count=count+excluded.count",
            (self.id, window.zone, today, count),
        )
        # By number, not by age: a clock far ahead for a moment must not cost the memory of the true day.
        self.db.execute(
            "DELETE FROM day WHERE budget=?1 AND zone=?2 AND number NOT IN"
            " (SELECT number FROM day WHERE budget=?1 AND zone=?2 ORDER BY number DESC LIMIT ?3)",
            (self.id, window.zone, _DAYS_KEPT),
        )

    def count_unknown(self, window: Window, count: int) -> None:
        """Others have used so much of a window."""
        if window.zone is not None:
            self._count_day(window, count)
        else:
            self._count_rolling(window, self.now, min(count, window.count))

    def refill_until(self, full: float) -> None:
        """The bucket is full again at `full`."""
        assert self.budget.bucket is not None
        self.db.execute("INSERT OR REPLACE INTO bucket VALUES (?, ?, ?)", (self.id, self.budget.bucket.seconds, full))

    def assume_spent(self, at: float, leases_until: float) -> None:
        """Nothing is known of the time before `at`: everything counts as used up then, and permits as taken."""
        at = min(at, self.now)
        for window in self.budget.rolling:
            if at + window.seconds > self.now:
                row = (self.id, window.seconds, window.count, window.count, at)
                self.db.execute("INSERT INTO finish VALUES (?, ?, ?, ?, ?)", row)
        for window in self.budget.days:
            if window.day(at) == window.day(self.now):
                self._count_day(window, window.count)
        if self.budget.burst is not None:
            self.refill_until(at + self.budget.burst / self.budget.refill)
        if self.budget.concurrent is not None:
            self.hold(leases_until)

    def hold(self, until: float) -> None:
        """Nobody calls before `until`; an earlier hold that lasts longer stays."""
        self.held = max(self.held, until)
        self.db.execute("UPDATE budget SET held=? WHERE id=?", (self.held, self.id))

    def resize(self, most: int | None, refill: float | None) -> None:
        """The vendor says how large the budget is, or how fast it refills: so it is from now on, for everybody."""
        most = most if most is not None and 0 < most <= MOST else self.known.most
        refill = refill if refill is not None and 0 < refill <= MOST else self.known.refill
        if (most, refill) != (self.known.most, self.known.refill):
            missing = max(0.0, self.bucket_full() - self.now) * self.budget.refill
            self.remember(attrs.evolve(self.known, most=most, refill=refill))
            self.budget = self.budget.as_told(most, refill)
            if missing:  # as much as before, though it comes back at another pace
                self.refill_until(self.now + missing / self.budget.refill)

    def remember(self, known: Known) -> None:
        """Keep what was told."""
        self.known = known
        row = (self.id, known.most, known.refill, known.left, known.until, known.ended)
        self.db.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?)", row)

    def read_told(self) -> None:
        """What was told of this budget before."""
        row = self.db.execute("SELECT most, refill, left, until, ended FROM told WHERE budget=?", (self.id,)).fetchone()
        if row is not None:
            self.known = Known(*row)
            if row[0] is not None or row[1] is not None:
                self.budget = self.budget.as_told(row[0], row[1])

    # Reading --------------------------------------------------------------------------------------------------------

    def read_leases(self) -> None:
        """Count those under way; what must have been received by now is counted as ended, what expired goes."""
        rows = self.db.execute(
            "SELECT id, counted_by, expires, counted, cost, granted FROM lease WHERE budget=? ORDER BY counted_by",
            (self.id,),
        ).fetchall()
        for id, counted_by, expires, counted, cost, granted in rows:
            if expires > self.now + DEAD_SECONDS and owner_is_dead(id):
                expires = self.now + DEAD_SECONDS
                counted_by = min(counted_by, expires)
                self.db.execute(
                    "UPDATE lease SET counted_by=?, expires=? WHERE budget=? AND id=?",
                    (counted_by, expires, self.id, id),
                )
            if not counted and counted_by <= self.now:
                self._count(counted_by, cost)
                self.db.execute("UPDATE lease SET counted=1 WHERE budget=? AND id=?", (self.id, id))
            elif not counted:
                self.costs.append(cost)
            if expires <= self.now:
                self.db.execute("DELETE FROM lease WHERE budget=? AND id=?", (self.id, id))
            else:
                self.leases[id] = Held(bool(counted) or counted_by <= self.now, cost, granted)

    def read_queue(self, ticket: Ticket | None) -> None:
        """Those who wait and live; of them only who is before `ticket`, where that has a place."""
        rows = self.db.execute(
            "SELECT number, id, most, ready, expires, cost FROM ticket WHERE budget=? ORDER BY number", (self.id,)
        ).fetchall()
        for number, id, most, ready, expires, cost in rows:
            if ticket is not None and id == ticket.id:
                self.place = number
                break
            if expires > self.now:
                self.queue.append(Waiting(most, ready, cost))
            else:
                self.db.execute("DELETE FROM ticket WHERE budget=? AND number=?", (self.id, number))

    def stand_in_queue(self, ticket: Ticket, number: int, ready: float) -> None:
        """Take a place, or show that one still waits. Written at most every second unless `ready` changed."""
        expires = self.now + TICKET_SECONDS
        if self.place is None:
            self.db.execute(
                "INSERT INTO ticket VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.id, number, ticket.id, self.budget.concurrent, ready, expires, self.budget.cost),
            )
            return
        self.db.execute(
            "UPDATE ticket SET ready=?1, expires=?2 WHERE budget=?3 AND number=?4"
            " AND (expires < ?2 - 1 OR abs(max(ready, ?5) - max(?1, ?5)) > 0.01)",
            (ready, expires, self.id, self.place, self.now),
        )

    def leave_queue(self) -> None:
        """Give up the place in this queue."""
        if self.place is not None:
            self.db.execute("DELETE FROM ticket WHERE budget=? AND number=?", (self.id, self.place))

    # Clocks ---------------------------------------------------------------------------------------------------------

    def keep_time(self, instant: Instant) -> None:
        """Remember when this account was last changed, to know by it when a clock was set. No row is later."""
        self.db.execute("UPDATE budget SET wall=?, mono=? WHERE id=?", (self.now, instant.mono, self.id))

    def correct(self, before: Instant, instant: Instant) -> None:
        """Move the rows when the wall clock was set since `before`, and know the time to go by."""
        elapsed = instant.wall - before.wall
        if -STEP <= elapsed < 0:
            self.now = before.wall  # stand still until the clock has caught up
            return
        if elapsed < 0:
            self._move(elapsed, math.inf)
            self.held = max(0.0, self.held + elapsed)
            self.db.execute("UPDATE budget SET held=? WHERE id=?", (self.held, self.id))
            self._merge_later_days()
            self.keep_time(instant)
        elif instant.mono >= before.mono and elapsed - (instant.mono - before.mono) > STEP:
            self._move(elapsed - (instant.mono - before.mono), _SHORT)
            self.keep_time(instant)
        elif elapsed > 1.0:
            self.keep_time(instant)  # so that places in the queue are not much later either

    def _move(self, by: float, longest: float) -> None:
        self.db.execute("UPDATE lease SET counted_by=counted_by+?1, expires=expires+?1 WHERE budget=?2", (by, self.id))
        self.db.execute("UPDATE ticket SET ready=ready+?1, expires=expires+?1 WHERE budget=?2", (by, self.id))
        self.db.execute("UPDATE finish SET at=at+? WHERE budget=? AND span<=?", (by, self.id, longest))
        self.db.execute("UPDATE bucket SET full=full+? WHERE budget=? AND span<=?", (by, self.id, longest))
        if longest == math.inf:  # what a vendor told for the time until a moment holds as long
            self.db.execute("UPDATE told SET until=until+?1, ended=ended+?1 WHERE budget=?2", (by, self.id))

    def _merge_later_days(self) -> None:
        """Calls written under a later date were made before now, so they belong to this day at the latest.

        Of all zones that have any: who only holds a budget does not know its windows."""
        zones = self.db.execute("SELECT DISTINCT zone FROM day WHERE budget=?", (self.id,)).fetchall()
        for window in (Window(1, DAY, zone) for (zone,) in zones):
            place = (self.id, window.zone, window.day(self.now))
            (later,) = self.db.execute(
                "SELECT total(count) FROM day WHERE budget=? AND zone=? AND number>?", place
            ).fetchone()
            if later:
                self.db.execute("DELETE FROM day WHERE budget=? AND zone=? AND number>?", place)
                self._count_day(window, int(later))


def open_account(
    db: sqlite3.Connection,
    budget: Budget,
    instant: Instant,
    blind: tuple[float, float] | None = None,
    *,
    leases: bool = True,
) -> Account:
    """Read a budget's account, or begin one. `blind` says since when nothing is known, and until when permits may be
    held that nobody knows of (both epoch seconds). Who knows only the key leaves the `leases` alone: those that ended
    are counted in the windows."""
    memory = budget.memory if budget.bounds else -1.0
    row = db.execute("SELECT id, wall, mono, held, memory FROM budget WHERE key=?", (budget.key,)).fetchone()
    if row is None:
        made = db.execute(
            "INSERT INTO budget (key, wall, mono, held, memory) VALUES (?, ?, ?, 0, ?)",
            (budget.key, instant.wall, instant.mono, memory),
        )
        account = Account(db, budget, int(made.lastrowid or 0), instant.wall, 0.0)
    else:
        account = Account(db, budget, row[0], instant.wall, row[3])
        account.correct(Instant(row[1], row[2]), instant)
        if row[4] < memory:
            db.execute("UPDATE budget SET memory=? WHERE id=?", (memory, account.id))
    if blind is not None and memory >= 0 and (row is None or row[4] < 0):
        account.assume_spent(*blind)
    if row is not None:
        account.read_told()
    if leases:
        account.read_leases()
    return account
