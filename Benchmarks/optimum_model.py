# SPDX-License-Identifier: Apache-2.0
"""The best that a dispatcher can do, in virtual time: it joins the shortest expected delay (JSED). Pure.

One dispatcher sees all HSMs, what they are doing and since when, and how long their calls usually take. A request goes to
the HSM that is expected to be done with it first, or is refused at once when that would be too late. Its hedges are
ideal, too: a second call at the moment that makes the 99th percentile least, within a budget. Nothing costs time but the
HSMs' calls. All times are milliseconds.
"""

import collections
import dataclasses
import heapq
import itertools
import random

# The share of the requests that may have a second call.
HEDGE_BUDGET = 0.20
# HSMs whose completion is expected within so much of the earliest are alike; more where weights are to be kept.
ALIKE, ALIKE_BY_WEIGHT = 1.1, 2.0
# The moments at which a second call is tried, as multiples of what a call usually takes.
MOMENTS = (1.02, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A request: when it is due, whose it is, and how many calls it takes, one after another."""

    due: float
    store: int = 0
    calls: int = 1


class Request:
    """A request under way: `latency` is that of its answer, `None` until there is one."""

    __slots__ = ("due", "store", "left", "latency", "calls")

    def __init__(self, arrival):
        self.due, self.store, self.left = arrival.due, arrival.store, arrival.calls
        self.latency, self.calls = None, 0


class Call:
    __slots__ = ("request", "stage", "hsm", "begun")

    def __init__(self, request, hsm, begun):
        self.request, self.stage, self.hsm, self.begun = request, request.left, hsm, begun


class Place:
    """An HSM with the requests that are given to it and wait. Key stores take turns."""

    def __init__(self, hsm, number):
        self.hsm, self.law, self.number = hsm, hsm.law, number
        self.running, self.calls = [], 0
        # Second calls of requests are before all others.
        self.urgent, self.lines, self.turns = collections.deque(), {}, collections.deque()
        # Calls that waiting requests will take, by key store.
        self.waiting = {}

    def is_free(self):
        return len(self.running) < self.hsm.servers

    def ahead(self, store):
        """How many calls of waiting requests are made before a further request of that key store."""
        own = self.waiting.get(store, 0)
        others = sum(min(calls, own + 1) for other, calls in self.waiting.items() if other != store)
        return len(self.urgent) + own + others

    def wait(self, store, now):
        """What a further call of that key store is expected to wait."""
        if self.is_free():
            return 0.0
        rounds, place = divmod(self.ahead(store), self.hsm.servers)
        remaining = sorted(self.law.remaining(now - call.begun) for call in self.running)
        return remaining[place] + rounds * self.law.ms

    def add(self, request, is_first):
        if is_first:
            self.urgent.append(request)
            return
        if request.store not in self.lines:
            self.lines[request.store] = collections.deque()
            self.turns.append(request.store)
            self.waiting[request.store] = 0
        self.lines[request.store].append(request)
        self.waiting[request.store] += request.left

    def take(self):
        """The next waiting request; `None` when there is none."""
        if self.urgent:
            return self.urgent.popleft()
        for _ in range(len(self.turns)):
            store = self.turns[0]
            self.turns.rotate(-1)
            if self.lines[store]:
                request = self.lines[store].popleft()
                self.waiting[store] -= request.left
                return request
        return None


class Dispatcher:
    """Gives requests to HSMs. `steps` are (time, number of an HSM, its law from then on); `stores` are the numbers of the
    HSMs that serve each key store, all if there are none."""

    def __init__(self, hsms, deadline, hedge_after=None, steps=(), stores=(), seed="service"):
        self._stores = stores
        self._places = [Place(hsm, number) for number, hsm in enumerate(hsms)]
        self._deadline, self._hedge_after = deadline, hedge_after
        self._random, self._order = random.Random(seed), itertools.count()
        self._events = [(time, next(self._order), self._step, (number, law)) for time, number, law in steps]
        # Requests that came, second calls that were made, and calls that want a second one.
        self._came, self._hedges, self._overdue = 0, 0, collections.deque()
        # As many calls as any request takes: who takes two is not refused sooner than who takes one.
        self._most = 1
        weights = {place.hsm.weight for place in self._places}
        self._alike = ALIKE_BY_WEIGHT if len(weights) > 1 else ALIKE

    def run(self, arrivals):
        """The requests as they ended."""
        requests = [Request(arrival) for arrival in arrivals]
        self._most = max((request.left for request in requests), default=1)
        for request in requests:
            self._at(request.due, self._arrive, request)
        heapq.heapify(self._events)
        while self._events:
            now, _, action, subject = heapq.heappop(self._events)
            action(now, subject)
        return requests

    def calls_by_hsm(self):
        return [place.calls for place in self._places]

    def _at(self, time, action, subject):
        heapq.heappush(self._events, (time, next(self._order), action, subject))

    def _step(self, _, subject):
        number, law = subject
        self._places[number].law = law

    def _arrive(self, now, request, is_first=False):
        if not is_first:
            self._came += 1
        place, wait = self._choose(request, now)
        calls = request.left if is_first else self._most
        if now + wait + calls * place.law.ms > request.due + self._deadline:
            return
        if place.is_free():
            self._begin(place, request, now)
        else:
            place.add(request, is_first)

    def _choose(self, request, now):
        """The HSM whose completion is expected first, of those alike the one that has least for its weight, and what has
        to be waited for it. A later tier is for the time when no HSM of an earlier one serves, which never comes."""
        known = [(place, place.wait(request.store, now)) for place in self._first_tier(request)]
        best = min(wait + place.law.ms for place, wait in known)
        alike = [one for one in known if one[1] + one[0].law.ms <= best * self._alike]
        return min(alike, key=lambda one: (one[0].calls / one[0].hsm.weight, one[0].number))

    def _first_tier(self, request):
        serving = self._places
        if self._stores:
            serving = [self._places[number] for number in self._stores[request.store]]
        tier = min(place.hsm.tier for place in serving)
        return [place for place in serving if place.hsm.tier == tier]

    def _begin(self, place, request, now):
        call = Call(request, place, now)
        place.running.append(call)
        place.calls += 1
        request.calls += 1
        self._at(now + place.law.draw(self._random), self._end, call)
        if self._hedge_after is not None:
            self._at(now + self._hedge_after, self._hedge, call)

    def _hedge(self, now, call):
        """A second call for a request whose first is not answered, on another HSM of the tier if there is one."""
        if not self._is_open(call) or self._hedges + 1 > HEDGE_BUDGET * self._came:
            return
        peers = self._first_tier(call.request)
        free = [place for place in peers if place.is_free() and (place is not call.hsm or len(peers) == 1)]
        if not free:
            self._overdue.append(call)
            return
        self._hedges += 1
        second = Call(call.request, min(free, key=lambda place: place.law.ms), now)
        second.hsm.running.append(second)
        second.hsm.calls += 1
        call.request.calls += 1
        self._at(now + second.hsm.law.draw(self._random), self._end, second)

    @staticmethod
    def _is_open(call):
        return call.request.latency is None and call.request.left == call.stage

    def _end(self, now, call):
        place, request = call.hsm, call.request
        place.running.remove(call)
        if self._is_open(call):
            request.left -= 1
            if request.left:
                self._arrive(now, request, is_first=True)
            else:
                request.latency = now - request.due
        while place.is_free() and (following := place.take()):
            # What would be too late is dropped.
            if now + following.left * place.law.ms <= following.due + self._deadline:
                self._begin(place, following, now)
        # Second calls have what is left over.
        if self._overdue and place.is_free():
            waiting, self._overdue = self._overdue, collections.deque()
            for one in waiting:
                self._hedge(now, one)


def slower(hsm, ms):
    """The HSM with so much more for each call."""
    return dataclasses.replace(hsm, law=hsm.law.slower(ms))


def best_of(hsms, deadline, arrivals, judge, hedged=False, steps=(), stores=(), seed=1):
    """The requests as they ended, and the calls of each HSM: without second calls, or, where `hedged`, with them at the
    best moment, at which `judge(requests)` is least. `seed` draws what calls take."""
    usual = min(hsm.law.ms for hsm in hsms)
    moments = [None] + [usual * factor for factor in MOMENTS] if hedged else [None]
    found = []
    for moment in moments:
        dispatcher = Dispatcher(hsms, deadline, moment, steps, stores, f"service-{seed}")
        requests = dispatcher.run(arrivals)
        found.append((judge(requests), requests, dispatcher.calls_by_hsm()))
    _, requests, calls = min(found, key=lambda one: one[0])
    return requests, calls
