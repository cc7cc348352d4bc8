/* The order of a call's tokens, their groups, and the items that threads take. */
#pragma once
#include "call.h"

enum { PARTIALS = 1 << 24 };       /* floats that split groups may use */

static void sort(uint64_t *numbers, int64_t count) {
    int64_t gap = 1;
    while (gap < count / 3) gap = 3 * gap + 1;
    for (; gap; gap /= 3)
        for (int64_t i = gap; i < count; i++) {
            const uint64_t number = numbers[i];
            int64_t at = i;
            for (; at >= gap && numbers[at - gap] > number; at -= gap) numbers[at] = numbers[at - gap];
            numbers[at] = number;
        }
}

/* True if outside the cache. A row below 0 is a slot without a token, whatever its position. */
static int outside(int64_t row, int64_t position, int64_t rows, int64_t context) {
    return row >= rows || (row >= 0 && (position < 0 || position >= context));
}

/* Sort tokens by (row, position), their number to *count; slots without a token get zeros. */
static int put_in_order(const Call *call, uint64_t *order, int64_t *count) {
    const int64_t bytes = call->heads * call->value_size * (call->is_half ? 2 : 4);
    int64_t placed = 0;
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t row = call->row[token], position = call->position[token];
        if (outside(row, position, call->rows, call->context)) return OUT_OF_RANGE;
        if (row < 0) memset(call->out + token * bytes, 0, (size_t)bytes);
        else order[placed++] = (uint64_t)row << 44 | (uint64_t)position << 20 | (uint64_t)token;
    }
    sort(order, placed);
    *count = placed;
    return OK;
}

/* Make groups of a few tokens of one row, one for each KV head; return their number. */
static int64_t make_groups(const Call *call, const uint64_t *order, int64_t count, int64_t per,
                           Group *groups) {
    int64_t made = 0;
    for (int64_t first = 0, last; first < count; first = last) {
        last = first + 1;
        while (last < count && last - first < per && row_of(order[last]) == row_of(order[first])) last++;
        const Group group = {.first = first, .count = last - first, .row = row_of(order[first]),
                             .low = start_of(call, order[first]), .high = end_of(order[last - 1])};
        for (int64_t head = 0; head < call->kv_heads; head++) {
            groups[made] = group;
            groups[made++].kv_head = head;
        }
    }
    return made;
}

static uint64_t cost_of(const Group *group, int64_t share, int64_t low, int64_t high) {
    return (uint64_t)((high - low) * (group->count * share + 6));
}

static int64_t spans_of(const Group *group) { return (group->high - 1) / SPAN - group->low / SPAN + 1; }

/* Floats for splitting a group by spans, if it would delay the others; otherwise 0. */
static int64_t partials_of(const Plan *plan, const Group *group, uint64_t total) {
    const uint64_t cost = cost_of(group, plan->share, group->low, group->high);
    const int dear = cost * 2 * (uint64_t)plan->call->threads > total && plan->call->threads > 1;
    return dear && spans_of(group) > 1 ? spans_of(group) * group->count * plan->share * plan->state : 0;
}

/* Turn groups into items: whole, or, while there is room for their parts, by spans. */
static int64_t make_items(const Plan *plan, Group *groups, int64_t count, uint64_t total, Item *items,
                          float *partials) {
    int64_t made = 0, used = 0;
    for (Group *group = groups; group < groups + count; group++) {
        const int64_t need = partials_of(plan, group, total);
        const int whole = !need || !partials || used + need > PARTIALS;
        if (!whole) {
            group->partials = partials + used;
            atomic_init(&group->left, (int)spans_of(group));
            used += need;
        }
        for (int64_t low = group->low, high; low < group->high; low = high) {
            high = whole ? group->high : least(group->high, low / SPAN * SPAN + SPAN);
            items[made++] = (Item){cost_of(group, plan->share, low, high), group, low, high};
        }
    }
    return made;
}

static int dearer(const void *a, const void *b) {
    const uint64_t left = ((const Item *)a)->cost, right = ((const Item *)b)->cost;
    return (left < right) - (left > right);
}
