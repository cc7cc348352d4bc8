/* The highest and the lowest logit of a row, and where high ones are. */
#pragma once
#include "values.h"

/* What `bounds` finds; maxima are those of each lane of every `depth` vectors, if they are wanted. */
typedef struct {
    int64_t depth;
    int32_t *maxima, high, low;
} Bounds;

INLINE void take_bounds(Bounds *bounds, vi highest, vi lowest) {
    bounds->high = INT32_MIN, bounds->low = INT32_MAX;
    for (int lane = 0; lane < LANES; lane++) {
        bounds->high = highest[lane] > bounds->high ? highest[lane] : bounds->high;
        bounds->low = lowest[lane] < bounds->low ? lowest[lane] : bounds->low;
    }
}

INLINE void bounds_in(const Row *row, Bounds *bounds) {
    const int64_t group = LANES * bounds->depth;
    int32_t *maxima = bounds->maxima;
    vi highest = (vi){} + INT32_MIN, lowest = (vi){} + INT32_MAX;
    for (int64_t at = 0; at < row->size; at += group) {
        vi here = (vi){} + INT32_MIN;
        int64_t end = at + group < row->size ? at + group : row->size;
        for (int64_t from = at; from < end; from += LANES) {
            vi order = ordered(get(row, from));
            if (end - from < LANES) {
                vi inside = numbers < (int32_t)(end - from);
                lowest = lower(lowest, choose(inside, order, lowest));
                order = choose(inside, order, (vi){} + INT32_MIN);
            } else lowest = lower(lowest, order);
            here = higher(here, order);
        }
        highest = higher(highest, here);
        if (maxima) memcpy(maxima, &here, sizeof here), maxima += LANES;
    }
    take_bounds(bounds, highest, lowest);
}

/* Orders of the last numbers of a row of bf16, and others where there are none. */
INLINE vs last_orders(const uint16_t *at, int64_t count, int16_t others) {
    vs bits = {}, orders;
    memcpy(&bits, at, count * sizeof *at);
    orders = ordered_halves(bits);
    for (int64_t lane = count; lane < BOTH; lane++) orders[lane] = others;
    return orders;
}

INLINE vn half_of(vs orders, int which) {
    vn half;
    memcpy(&half, (char *)&orders + which * sizeof half, sizeof half);
    return half;
}

/* As `bounds_in`, for bf16 in groups of whole pairs of vectors: with numbers of 16 bits. */
static void bounds_halves(const Row *row, Bounds *bounds) {
    const int64_t group = LANES * bounds->depth;
    const uint16_t *logits = row->at;
    int32_t *maxima = bounds->maxima;
    vi highest = (vi){} + INT32_MIN;
    vs lowest = (vs){} + INT16_MAX;
    for (int64_t at = 0; at < row->size; at += group) {
        vs here = (vs){} + INT16_MIN;
        int64_t end = at + group < row->size ? at + group : row->size, from = at;
        for (; from + BOTH <= end; from += BOTH) {
            vs bits;
            memcpy(&bits, logits + from, sizeof bits);
            bits = ordered_halves(bits);
            here = higher_halves(here, bits);
            lowest = lower_halves(lowest, bits);
        }
        if (from < end) {
            here = higher_halves(here, last_orders(logits + from, end - from, INT16_MIN));
            lowest = lower_halves(lowest, last_orders(logits + from, end - from, INT16_MAX));
        }
        vi both = higher(whole_orders(half_of(here, 0)), whole_orders(half_of(here, 1)));
        highest = higher(highest, both);
        if (maxima) memcpy(maxima, &both, sizeof both), maxima += LANES;
    }
    take_bounds(bounds, highest,
                lower(whole_orders(half_of(lowest, 0)), whole_orders(half_of(lowest, 1))));
}

static void bounds(const Row *row, Bounds *found) {
    const Row singles = {row->at, 0, row->size}, halves = {row->at, 1, row->size};
    if (!row->half) bounds_in(&singles, found);
    else if (found->depth % 2) bounds_in(&halves, found);
    else bounds_halves(row, found);
}

/* The first token with this order. */
static int64_t first_with(const Row *row, int32_t order) {
    for (int64_t at = 0; at < row->size; at += LANES)
        if (bits_of(ordered(get(row, at)) == order))
            for (int64_t one = at; one < row->size && one < at + LANES; one++)
                if (ordered_one(get_one(row, one)) == order) return one;
    return 0;
}
