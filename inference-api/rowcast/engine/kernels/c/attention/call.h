/* What a call is about: caches, tokens, and the groups and items that they are worked on in. */
#pragma once
#include <stdatomic.h>

#include "vectors.h"

enum { BLOCK = 64, SPAN = 512, GROUP = 112 };
enum { STRIDE = SPAN + 16 };       /* of scores: rows a power of two apart would share a few sets of a cache */
enum { OK = 0, OUT_OF_RANGE = 1, NO_MEMORY = 2 };

/* The arguments that attention.py packs; strides count elements. */
#define CACHES_AND_PLACES                                      \
    char *keys, *values;                                       \
    int64_t rows, kv_heads, context;                           \
    int64_t key_size, key_row, key_head, key_at;               \
    int64_t value_size, value_row, value_head, value_at;       \
    int64_t is_half, tokens;                                   \
    const int32_t *row, *position;

typedef struct {
    CACHES_AND_PLACES
    const char *key, *value;
    int64_t key_token, key_part, value_token, value_part;
} Stored;

typedef struct {
    CACHES_AND_PLACES
    const char *query;
    char *out;
    int64_t heads, query_token, query_head;
    const float *sinks, *bias;
    int64_t bias_head, window, threads;
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    void (*share)(void *, void (*)(const void *, int64_t, int64_t), const void *, int64_t, int64_t);
    void *crew; /* the threads of `share`; without `share`, `parallel` opens threads */
    double scale, softcap;
} Call;

/* One layer's part of a plan; the number of tokens is set when it runs. */
typedef struct {
    Stored stored;
    Call call;
    int64_t *fault; /* of the first layer that had one */
} Planned;

typedef struct {
    int64_t first, count, kv_head, row; /* tokens order[first .. first + count) */
    int64_t low, high;                  /* keys that any of them sees */
    float *partials;                    /* results by span, if the group is split */
    atomic_int left;                    /* spans that are not done */
} Group;

typedef struct {
    uint64_t cost;
    Group *group;
    int64_t low, high; /* of the group's keys: whole, or one span */
} Item;

typedef struct {
    const Call *call;
    const uint64_t *order;
    const Item *items;
    int64_t count, share, units, width, state;
    atomic_long next, done;
} Plan;

typedef struct {
    float *query, *scores, *mixed, *total, *keys, *values;
} Scratch;

/* A token's row, position and number in one word, by which tokens are sorted. */
INLINE int64_t token_of(uint64_t place) { return (int64_t)(place & 0xfffff); }
INLINE int64_t position_of(uint64_t place) { return (int64_t)(place >> 20 & 0xffffff); }
INLINE int64_t row_of(uint64_t place) { return (int64_t)(place >> 44); }
INLINE int64_t end_of(uint64_t place) { return position_of(place) + 1; }
INLINE int64_t start_of(const Call *call, uint64_t place) {
    const int64_t end = end_of(place);
    return call->window > 0 && call->window < end ? end - call->window : 0;
}

/* Of tokens in order of position, find those that see any key of low..high: [*from, *to). */
INLINE void seers(const Call *call, const uint64_t *places, int64_t count, int64_t low, int64_t high,
                  int64_t *from, int64_t *to) {
    int64_t first = 0, last = count;
    while (first < count && end_of(places[first]) <= low) first++;
    while (last > first && start_of(call, places[last - 1]) >= high) last--;
    *from = first;
    *to = last;
}

INLINE const char *key_at(const Call *call, const Group *group, int64_t at, int64_t size) {
    const int64_t slab = group->row * call->key_row + group->kv_head * call->key_head;
    return call->keys + (slab + at * call->key_at) * size;
}

INLINE const char *value_at(const Call *call, const Group *group, int64_t at, int64_t size) {
    const int64_t slab = group->row * call->value_row + group->kv_head * call->value_head;
    return call->values + (slab + at * call->value_at) * size;
}
