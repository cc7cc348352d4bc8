/* A group's attention, span by span: scores, weights, mix, fold. */
#pragma once
#include "pack.h"
#include "product.h"
#include "softmax.h"

/* Compute scores of the tokens with the keys of one span. */
INLINE void score_span(const Plan *plan, const Group *group, const Scratch *scratch, int64_t low, int64_t high,
                       const int kind) {
    const Call *call = plan->call;
    const uint64_t *places = plan->order + group->first;
    const int64_t size = kind == FLOATS ? 4 : 2, share = plan->share, start = low / BLOCK * BLOCK;
    for (int64_t block = start; block < high; block += BLOCK) {
        int64_t from, to;
        seers(call, places, group->count, most(block, low), least(block + BLOCK, high), &from, &to);
        if (from == to) continue;
        const int64_t first = most(most(block, low), start_of(call, places[from])) - block;
        const int64_t last = least(least(block + BLOCK, high), end_of(places[to - 1])) - block;
        const int64_t edge = first / LANES * LANES, query = from * share;
        const Ahead ahead = block + BLOCK < high
            ? asking(key_at(call, group, block + BLOCK, size), call->key_at, call->key_size, size)
            : asking(value_at(call, group, start, size), call->value_at, call->value_size, size);
        pack_keys(call, key_at(call, group, block, size), first, last, scratch->keys, kind);
        product((Product){.a = scratch->query + query * plan->units, .a_step = plan->units,
                          .b = (const char *)(scratch->keys + edge), .b_step = BLOCK * 4,
                          .c = scratch->scores + query * STRIDE + block % SPAN + edge, .c_step = STRIDE,
                          .rows = (to - from) * share, .vectors = up(last - edge, LANES) / LANES,
                          .depth = plan->units, .add = 0, .ahead = ahead}, kind);
    }
}

/* Add the values low..high of one block to the mix of tokens from..to. Values of whole vectors that
   few queries use are not packed: they are read where they are. */
INLINE void mix_values(const Plan *plan, const Group *group, const Scratch *scratch, int64_t from, int64_t to,
                       int64_t low, int64_t high, float *mixed, Ahead ahead, const int kind) {
    const Call *call = plan->call;
    const int64_t per_unit = kind == PAIRS ? 2 : 1, block = low / BLOCK * BLOCK, query = from * plan->share;
    const int64_t first = (low - block) / per_unit, last = up(high - block, per_unit) / per_unit;
    const int64_t size = kind == FLOATS ? 4 : 2;
    Product of = {.a = scratch->scores + query * STRIDE + block % SPAN / per_unit + first, .a_step = STRIDE,
                  .b = value_at(call, group, low, size), .b_step = call->value_at * size,
                  .c = mixed + query * plan->state, .c_step = plan->state, .rows = (to - from) * plan->share,
                  .vectors = plan->width / LANES, .depth = last - first, .add = 1, .ahead = ahead};
    if (kind != PAIRS && of.rows <= 2 * ROWS && call->value_size == plan->width) {
        product(of, kind == WIDENED ? HALVES : kind);
        return;
    }
    pack_values(call, value_at(call, group, block, size), low - block, high - block, scratch->values, plan->width,
                kind);
    of.b = (const char *)(scratch->values + first * plan->width);
    of.b_step = plan->width * 4;
    product(of, kind);
}

/* Mix values of one span: if a token sees part of a block, the block is packed for it alone. */
INLINE void mix_span(const Plan *plan, const Group *group, const Scratch *scratch, int64_t low, int64_t high,
                     float *mixed, const int kind) {
    const Call *call = plan->call;
    const uint64_t *places = plan->order + group->first;
    const int64_t size = kind == FLOATS ? 4 : 2;
    for (int64_t block = low / BLOCK * BLOCK; block < high; block += BLOCK) {
        const Ahead ahead = block + BLOCK < high
            ? asking(value_at(call, group, block + BLOCK, size), call->value_at, call->value_size, size)
            : asking(key_at(call, group, high, size), call->key_at, high < group->high ? call->key_size : 0,
                     size);
        int64_t from, to;
        seers(call, places, group->count, block, block + BLOCK, &from, &to);
        for (int64_t next; from < to; from = next) {
            const int64_t first = most(block, start_of(call, places[from]));
            const int64_t last = least(block + BLOCK, end_of(places[from]));
            next = from + 1;
            if (last - first == BLOCK)
                while (next < to && start_of(call, places[next]) <= block) next++;
            mix_values(plan, group, scratch, from, next, first, last, mixed, ahead, kind);
        }
    }
}

/* Compute one span of a group: top, sum and mix of each (token, head) to mixed[][]. */
INLINE void attend_span(const Plan *plan, const Group *group, const Scratch *scratch, int64_t low,
                        int64_t high, float *mixed, const int kind) {
    const Call *call = plan->call;
    const uint64_t *places = plan->order + group->first;
    const int64_t begin = low / SPAN * SPAN, share = plan->share;
    score_span(plan, group, scratch, low, high, kind);
    for (int64_t at = 0; at < group->count; at++) {
        const int64_t first = most(low, start_of(call, places[at])), last = least(high, end_of(places[at]));
        for (int64_t part = 0; first < last && part < share; part++) {
            const int64_t query = at * share + part, head = group->kv_head * share + part;
            const float *bias = call->bias ? call->bias + head * call->bias_head + begin : 0;
            float *state = mixed + query * plan->state;
            weigh(call, scratch->scores + query * STRIDE, bias, first - begin, last - begin,
                  state + plan->width, kind);
            memset(state, 0, (size_t)plan->width * sizeof(float));
        }
    }
    mix_span(plan, group, scratch, low, high, mixed, kind);
}

/* Fold a span's part for the tokens that saw any of it; finish those whose last span it was. */
INLINE void gather(const Plan *plan, const Group *group, int64_t low, int64_t high, float *total,
                   const float *mixed) {
    const Call *call = plan->call;
    const int64_t share = plan->share, size = call->is_half ? 2 : 4;
    for (int64_t at = 0; at < group->count; at++) {
        const uint64_t place = plan->order[group->first + at];
        const int64_t start = start_of(call, place), end = end_of(place);
        for (int64_t part = 0; start < high && end > low && part < share; part++) {
            const int64_t query = at * share + part, head = group->kv_head * share + part;
            float *result = total + query * plan->state;
            const float *more = mixed + query * plan->state;
            if (start >= low / SPAN * SPAN) memcpy(result, more, (size_t)plan->state * sizeof(float));
            else fold(result, more, plan->width);
            char *out = call->out + (token_of(place) * call->heads + head) * call->value_size * size;
            if (end <= high) finish(call, result, plan->width, head, out);
        }
    }
}

/* Pack the group's queries for the arithmetic, each followed by zeros. */
INLINE void pack_queries(const Plan *plan, const Group *group, float *to, const int kind) {
    const Call *call = plan->call;
    const int64_t size = kind == FLOATS ? 4 : 2, full = kind == PAIRS ? 2 * LANES : LANES;
    const int64_t share = plan->share;
    for (int64_t query = 0; query < group->count * share; query++) {
        const int64_t token = token_of(plan->order[group->first + query / share]);
        const int64_t head = group->kv_head * share + query % share;
        const char *from = call->query + (token * call->query_token + head * call->query_head) * size;
        for (int64_t at = 0, unit = 0; at < call->key_size; at += full, unit += LANES)
            store(to + query * plan->units + unit, take(from + at * size, call->key_size - at, kind));
    }
}

INLINE void attend_item(const Plan *plan, const Item *item, const Scratch *scratch, const int kind) {
    Group *group = item->group;
    const int64_t slab = group->count * plan->share * plan->state;
    pack_queries(plan, group, scratch->query, kind);
    for (int64_t low = item->low, high; low < item->high; low = high) {
        high = least(item->high, low / SPAN * SPAN + SPAN);
        float *mixed = scratch->mixed;
        if (group->partials) mixed = group->partials + (low / SPAN - group->low / SPAN) * slab;
        attend_span(plan, group, scratch, low, high, mixed, kind);
        if (!group->partials) gather(plan, group, low, high, scratch->total, mixed);
    }
    if (!group->partials || atomic_fetch_sub(&group->left, 1) > 1) return;
    for (int64_t low = group->low, high, span = 0; low < group->high; low = high, span++) {
        high = least(group->high, low / SPAN * SPAN + SPAN);
        gather(plan, group, low, high, scratch->total, group->partials + span * slab);
    }
}

static void attend_floats(const Plan *plan, const Item *item, const Scratch *scratch) {
    attend_item(plan, item, scratch, FLOATS);
}

static void attend_halves(const Plan *plan, const Item *item, const Scratch *scratch) {
    attend_item(plan, item, scratch, HALF);
}
