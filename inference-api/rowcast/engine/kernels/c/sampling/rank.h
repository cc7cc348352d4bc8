/* The likeliest tokens in order: those above a threshold, which is found by halving. */
#pragma once
#include "bounds.h"

enum { DEEPEST = 64, RUN = 8 };

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

static int64_t gather(const Row *row, const int32_t *maxima, int64_t count, int64_t depth,
                      int32_t least, uint64_t *keys) {
    int64_t found = 0;
    for (int64_t each = 0; each < count; each++) {
        if (maxima[each] < least) continue;
        int64_t at = each / LANES * LANES * depth + each % LANES;
        for (int64_t next = 0; next < depth && at < row->size; next++, at += LANES) {
            int32_t order = ordered_one(get_one(row, at));
            if (order >= least)
                keys[found++] = (uint64_t)((uint32_t)order ^ 0x80000000u) << 32 | (uint32_t)~at;
        }
    }
    return found;
}

/* Sort all, highest first: runs by insertion, then merged; the result is in `keys`. */
static void sort(uint64_t *keys, uint64_t *spare, int64_t count) {
    uint64_t *from = keys, *to = spare;
    for (int64_t run = 0; run < count; run += RUN)
        for (int64_t each = run + 1; each < count && each < run + RUN; each++) {
            uint64_t key = keys[each];
            int64_t at = each;
            for (; at > run && keys[at - 1] < key; at--) keys[at] = keys[at - 1];
            keys[at] = key;
        }
    for (int64_t width = RUN; width < count; width *= 2) {
        for (int64_t low = 0; low < count; low += 2 * width) {
            int64_t middle = low + width < count ? low + width : count;
            int64_t high = low + 2 * width < count ? low + 2 * width : count;
            int64_t a = low, b = middle;
            for (int64_t at = low; at < high; at++)
                to[at] = a < middle && (b >= high || from[a] > from[b]) ? from[a++] : from[b++];
        }
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keys) memcpy(keys, from, count * sizeof *keys);
}

