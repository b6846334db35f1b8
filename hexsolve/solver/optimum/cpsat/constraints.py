"""Constraints of the scheduling model, named as the checker's rules."""

from itertools import pairwise

from ortools.sat.python import cp_model

from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.cpsat.variables import Variables

weighted = cp_model.LinearExpr.weighted_sum


def assignment(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``Σ_o x_co = 1``, ``Σ_d z_cd = 1``; k_w where the workflow may be spared, of which enough."""
    for c in scope.calls:
        call = scope.problem.calls[c]
        for options in (v.chosen[c], v.decoded[c]):
            if options is v.decoded[c] and not call.decodes:
                continue
            if v.keep:
                model.add(sum(options) == v.keep[call.workflow])
            else:
                model.add_exactly_one(options)
    if v.keep:
        model.add(sum(v.keep.values()) >= len(v.keep) - scope.spare)


def precedence(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``s_c ≥ f_parent + delay``; releases are the lower ends of the domains of s."""
    for c in scope.calls:
        for parent, delay in scope.problem.calls[c].parents:
            model.add(v.start[c] >= v.finish[parent] + delay)


def prefill_time(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``e_c = s_c + Σ lead_co·x_co``; optimistic: ≥, and ``e_c ≥ ready_c + Σ latency_co·x_co``."""
    if scope.problem.times.mode != "optimistic":
        return
    for c in scope.calls:
        call, options = scope.problem.calls[c], scope.prefills[c]
        lead = weighted(v.chosen[c], [option.lead for option in options])
        latency = weighted(v.chosen[c], [option.latency for option in options])
        model.add(v.prefilled[c] >= v.start[c] + lead)
        model.add(v.prefilled[c] >= call.release + latency)
        for parent, delay in call.parents:
            model.add(v.prefilled[c] >= v.finish[parent] + delay + latency)


def prefix_cache(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``x_co ≤ Σ x_bo'`` over the options of o's source b on the same p; ``s_c > s_b`` if x_co.

    Not to use what an ancestor left on p takes longer and gains nothing: ``x_co + x_bo' ≤ 1`` for
    the option o without a source.
    """
    for c in scope.calls:
        for uses, option in zip(v.chosen[c], scope.prefills[c], strict=True):
            if option.source < 0:
                continue
            there = [
                other
                for other, at in zip(
                    v.chosen[option.source], scope.prefills[option.source], strict=True
                )
                if at.p == option.p
            ]
            model.add_bool_or([*there, uses.negated()])
            if option.ordered:
                later = v.start[c] >= v.start[option.source] + 1
                model.add(later).only_enforce_if(uses)
                continue
            for instead, other in zip(v.chosen[c], scope.prefills[c], strict=True):
                if other.p == option.p and other.source < 0 and option.dominates(other):
                    for at in there:
                        model.add_bool_or(instead.negated(), at.negated())


def prefill_one_at_a_time(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """Keep ``[s_c, s_c + occupied_co)`` of x_co apart on p; on k equal p, at most k at once."""
    for group, members in scope.rows.items():
        intervals = []
        for c in scope.calls:
            for uses, option in zip(v.chosen[c], scope.prefills[c], strict=True):
                if scope.row_of[option.p] == group and option.occupied:
                    name = f"i{c},{option.p},{option.source}"
                    intervals.append(
                        model.new_optional_fixed_size_interval_var(
                            v.start[c], option.occupied, uses, name
                        )
                    )
        if len(members) == 1:
            model.add_no_overlap(intervals)
        elif len(intervals) > len(members):
            model.add_cumulative(intervals, [1] * len(intervals), len(members))


def transfer_and_decode_time(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``t_c ≥ e_c`` and ``f_c ≥ t_c + lag_pd + D_cd``; lag_pd the larger of the two links'."""
    for c in scope.calls:
        call = scope.problem.calls[c]
        if not call.decodes:
            if v.keep:
                model.add(v.finish[c] >= v.prefilled[c])
            else:
                model.add(v.finish[c] == v.prefilled[c])
            continue
        if v.sent[c] is not v.prefilled[c]:
            model.add(v.sent[c] >= v.prefilled[c])
        options, decodes = scope.prefills[c], scope.decodes[c]
        out = [call.lag_out[option.p] for option in options]
        spans = [call.lag_in[d] + t for d, t in decodes]
        model.add(v.finish[c] >= v.sent[c] + weighted(v.decoded[c], spans))
        if max(out, default=0) > min((call.lag_in[d] for d, _ in decodes), default=0):
            only = weighted(v.decoded[c], [t for _, t in decodes])
            model.add(v.finish[c] >= v.sent[c] + weighted(v.chosen[c], out) + only)


def decode_slots_and_kv(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """Intervals ``[t_c, f_c)`` on d: at most `slots` at once, and their tokens within the pool."""
    if not (scope.slots_bind or scope.kv_binds):
        return
    problem = scope.problem
    for group, members in scope.columns.items():
        intervals, tokens = [], []
        for c in scope.calls:
            call = problem.calls[c]
            for uses, (d, spans) in zip(v.decoded[c], scope.decodes[c], strict=True):
                if scope.column_of[d] != group:
                    continue
                least = min(call.lag(o.p, d) for o in scope.prefills[c])
                most = max(call.lag(o.p, d) for o in scope.prefills[c])
                name = f"j{c},{d}"
                if least == most:
                    interval = model.new_optional_fixed_size_interval_var(
                        v.sent[c], least + spans, uses, name
                    )
                else:
                    # The link of the prefill instance may be the slower one: up to the finish.
                    longest = scope.deadline[call.workflow]
                    size = model.new_int_var(least + spans, longest, f"n{c},{d}")
                    interval = model.new_optional_interval_var(
                        v.sent[c], size, v.finish[c], uses, name
                    )
                intervals.append(interval)
                tokens.append(call.decode_kv)
        slots = sum(problem.slots[d] for d in members)
        if len(intervals) > slots:
            model.add_cumulative(intervals, [1] * len(intervals), slots)
        if scope.kv_binds:
            room = problem.decode_room[members[0]]
            model.add_cumulative(intervals, tokens, room)


def prefill_kv(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """Prompts on p from the start of the prefill to the end of the transfer fit its pool."""
    if not scope.prompts_bind:
        return
    problem = scope.problem
    for p in problem.prefill_rows:
        intervals, tokens = [], []
        for c in scope.calls:
            call = problem.calls[c]
            for uses, option in zip(v.chosen[c], scope.prefills[c], strict=True):
                if option.p != p:
                    continue
                room, name = scope.deadline[call.workflow], f"h{c},{p},{option.source}"
                size, end = model.new_int_var(0, room, name), model.new_int_var(0, room, name)
                if call.decodes:
                    lags = [call.lag(p, d) for d, _ in scope.decodes[c]]
                    until = v.sent[c] + weighted(v.decoded[c], lags)
                else:
                    until = v.prefilled[c]
                model.add(end >= until).only_enforce_if(uses)
                intervals.append(model.new_optional_interval_var(v.start[c], size, end, uses, name))
                tokens.append(call.prefill_kv)
        model.add_cumulative(intervals, tokens, problem.prefill_room[p])


def equal_instances(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """Of equal prefill instances kept apart, call number k in order uses only the first k + 1.

    Relabelling equal instances by their first use leads to such a schedule.
    """
    if scope.around is not None or not (scope.located or scope.prompts_bind):
        return
    ranks: dict[int, int] = {}
    seen: dict[int, int] = {}
    for p in scope.problem.prefill_rows:
        kind = scope.problem.kinds[p]
        ranks[p] = seen.get(kind, 0)
        seen[kind] = ranks[p] + 1
    for k, c in enumerate(scope.calls):
        for uses, option in zip(v.chosen[c], scope.prefills[c], strict=True):
            if ranks[option.p] > k:
                model.add(uses == 0)


def order_of_others(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """``s_b ≥ s_a + occupied_a`` of calls a before b on p that a neighbourhood does not free."""
    if scope.around is None:
        return
    free, frozen, timetable = scope.around.free, scope.around.frozen, scope.around.timetable
    rows: dict[int, list[int]] = {}
    for c in scope.calls:
        # What takes no time may start while another call is prefilled.
        if c not in free and timetable[c].option.occupied:
            rows.setdefault(timetable[c].option.p, []).append(c)
    for calls in rows.values():
        calls.sort(key=lambda c: timetable[c].start)
        for before, after in pairwise(calls):
            if before in frozen and after in frozen:
                continue
            of = scope.problem.calls
            if not v.keep or of[before].workflow == of[after].workflow:
                spans = timetable[before].option.occupied
                model.add(v.start[after] >= v.start[before] + spans)
