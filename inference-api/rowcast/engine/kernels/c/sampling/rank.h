/* The likeliest tokens in order: those above a threshold, which is found by halving. */
#pragma once
#include "bounds.h"

enum { DEEPEST = 64, FEW = 48 };

/* Return how many vectors share a maximum, so that there are twice as many maxima as wanted. */
static int64_t depth_for(int64_t size, int64_t wanted) {
    int64_t depth = DEEPEST;
    while (depth > 1 && size / (LANES * depth) * LANES < 2 * wanted) depth /= 2;
    return depth;
}

static int64_t maxima_of(int64_t size, int64_t depth) {
    return (size + LANES * depth - 1) / (LANES * depth) * LANES;
}

static int64_t count_from(const int32_t *maxima, int64_t count, int32_t least) {
    vi found = {};
    for (int64_t at = 0; at < count; at += LANES) {
        vi here;
        memcpy(&here, maxima + at, sizeof here);
        found -= here >= least;
    }
    int64_t all = 0;
    for (int lane = 0; lane < LANES; lane++) all += found[lane];
    return all;
}

/* Return an order that at least `wanted` maxima reach, and not many more. */
static int32_t threshold(const int32_t *maxima, int64_t count, int64_t wanted, int64_t low,
                         int64_t high) {
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        int64_t found = count_from(maxima, count, (int32_t)middle);
        if (found < wanted) high = middle - 1;
        else if (low = middle, found <= wanted + wanted / 4) break;
    }
    return (int32_t)low;
}

INLINE int64_t gather_in(const Row *row, const int32_t *maxima, int64_t count, int64_t depth,
                         int32_t least, uint64_t *keys) {
    uint64_t *to = keys;
    for (int64_t each = 0; each < count; each += LANES) {
        vi here;
        memcpy(&here, maxima + each, sizeof here);
        if (!bits_of(here >= least)) continue;
        for (int64_t at = each * depth, end = at + depth * LANES; at < end && at < row->size; at += LANES) {
            vi order = ordered(get(row, at));
            uint32_t bits = bits_of(order >= least);
            if (row->size - at < LANES) bits &= (1u << (row->size - at)) - 1;
            for (; bits; bits &= bits - 1) {
                const int lane = __builtin_ctz(bits);
                *to++ = (uint64_t)((uint32_t)order[lane] ^ 0x80000000u) << 32 | (uint32_t) ~(at + lane);
            }
        }
    }
    return to - keys;
}

/* Gather the tokens whose orders are `least` or more, as keys that sort by order, then by token. */
static int64_t gather(const Row *row, const int32_t *maxima, int64_t count, int64_t depth,
                      int32_t least, uint64_t *keys) {
    const Row singles = {row->at, 0, row->size}, halves = {row->at, 1, row->size};
    return row->half ? gather_in(&halves, maxima, count, depth, least, keys)
                     : gather_in(&singles, maxima, count, depth, least, keys);
}

/* Sort a few, highest first. */
static void sort_few(uint64_t *keys, int64_t count) {
    for (int64_t each = 1; each < count; each++) {
        uint64_t key = keys[each];
        int64_t at = each;
        for (; at && keys[at - 1] < key; at--) keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Sort all, highest first, by each byte in which they differ, the lowest first; the result is in `keys`. */
static void sort(uint64_t *keys, uint64_t *spare, int64_t count) {
    uint64_t *from = keys, *to = spare, differ = 0;
    if (count <= FEW) return sort_few(keys, count);
    for (int64_t each = 1; each < count; each++) differ |= keys[each] ^ keys[0];
    for (int shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 255)) continue;
        int32_t places[256] = {0}, next = 0;
        for (int64_t each = 0; each < count; each++) places[from[each] >> shift & 255]++;
        for (int byte = 255; byte >= 0; byte--) {
            int32_t here = places[byte];
            places[byte] = next;
            next += here;
        }
        for (int64_t each = 0; each < count; each++)
            to[places[from[each] >> shift & 255]++] = from[each];
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keys) memcpy(keys, from, count * sizeof *keys);
}
