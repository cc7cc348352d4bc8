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

INLINE vn half_of(vs orders, const int which) {
#if WIDE
    return (vn)(which ? _mm512_extracti64x4_epi64((__m512i)orders, 1) : _mm512_castsi512_si256((__m512i)orders));
#elif FUSED
    return (vn)(which ? _mm256_extracti128_si256((__m256i)orders, 1) : _mm256_castsi256_si128((__m256i)orders));
#else
    vn half;
    memcpy(&half, (char *)&orders + which * sizeof half, sizeof half);
    return half;
#endif
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

/* The first token with the highest logit; its maximum tells where to look. */
static int64_t first_of_highest(const Row *row, const Bounds *found) {
    const int32_t *maxima = found->maxima;
    int64_t at = 0;
    for (; at < row->size; at += LANES * found->depth, maxima += LANES) {
        vi here;
        memcpy(&here, maxima, sizeof here);
        if (bits_of(here == found->high)) break;
    }
    for (; at < row->size; at += LANES) {
        uint32_t bits = bits_of(ordered(get(row, at)) == found->high);
        if (row->size - at < LANES) bits &= (1u << (row->size - at)) - 1;
        if (bits) return at + __builtin_ctz(bits);
    }
    return 0;
}
