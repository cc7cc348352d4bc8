/* Attention of a step's tokens over the KV caches of their rows.
 *
 *     order     tokens sorted by (row, position); slots without a token get zeros
 *     groups    a few tokens of one row, one KV head, all query heads that share it
 *     items     a group, or one span of it; threads take them, the costliest first
 *     span      512 keys: scores (q.k), weights (softmax), mix (weights.values)
 *     fold      a token's spans, in ascending order, into its result
 *
 * The bits of a result depend on the token's query, its row up to its position and the
 * constants: spans and blocks begin at fixed positions, each (token, head) is a separate chain
 * operations, written out here (no contraction, no reassociation), and hidden keys and values
 * never enter it. Knows no tensors: attention_native.py checks shapes and passes addresses.
 *
 *     c/attention/vectors.h  lanes, powers of two     c/attention/softmax.h  weights, fold, finish
 *     c/attention/call.h     arguments, places        c/attention/attend.h   a group, by spans
 *     c/attention/pack.h     keys and values          c/attention/groups.h   order, groups, items
 *     c/attention/product.h  tiles of sums
 */
#include <pthread.h>
#include <stdlib.h>

#include "c/attention/attend.h"
#include "c/attention/groups.h"

enum { SMALL = 1 << 13 };          /* query-key pairs that are not worth waking a thread for */

static pthread_key_t kept;

__attribute__((constructor)) static void begin(void) { pthread_key_create(&kept, free); }

/* This thread's memory, kept from call to call; its first word is its size. */
static float *memory(size_t floats) {
    const size_t bytes = up((int64_t)floats * 4 + 64, 64);
    size_t *mine = pthread_getspecific(kept);
    if (!mine || *mine < bytes) {
        free(mine);
        mine = aligned_alloc(64, bytes);
        pthread_setspecific(kept, mine);
        if (!mine) return 0;
        memset(mine, 0, bytes);
        *mine = bytes;
    }
    return (float *)mine + 16;
}

static void worker(void *context) {
    Plan *plan = context;
    const int64_t per = most(1, GROUP / plan->share) * plan->share;
    const int64_t sizes[] = {per * plan->units, per * STRIDE, per * plan->state, per * plan->state,
                             plan->units * BLOCK, plan->width * BLOCK};
    float *parts[6];
    int64_t floats = 0;
    for (int i = 0; i < 6; i++) floats += up(sizes[i], 16);
    float *base = memory((size_t)floats);
    if (!base) return;
    for (int i = 0; i < 6; base += up(sizes[i], 16), i++) parts[i] = base;
    const Scratch scratch = {parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]};
    for (int64_t at; (at = atomic_fetch_add(&plan->next, 1)) < plan->count; atomic_fetch_add(&plan->done, 1))
        (plan->call->is_half ? attend_halves : attend_floats)(plan, plan->items + at, &scratch);
}

/* For threads that are given ranges of items: the first one takes all that is left. */
static void shared_worker(const void *context, int64_t first, int64_t last) {
    (void)first, (void)last;
    worker((void *)context);
}

static int run(Plan *plan, Group *groups, int64_t count) {
    const Call *call = plan->call;
    int64_t spans = 0, floats = 0;
    uint64_t total = 0;
    for (Group *group = groups; group < groups + count; group++)
        total += cost_of(group, plan->share, group->low, group->high);
    for (Group *group = groups; group < groups + count; group++) {
        spans += spans_of(group);
        floats += partials_of(plan, group, total);
    }
    Item *items = malloc((size_t)spans * sizeof *items);
    if (!items) return NO_MEMORY;
    float *partials = floats ? malloc((size_t)least(floats, PARTIALS) * sizeof *partials) : 0;
    plan->items = items;
    plan->count = make_items(plan, groups, count, total, items, partials);
    if (call->threads > 1) qsort(items, (size_t)plan->count, sizeof *items, dearer);
    const int64_t threads = total > SMALL ? least(call->threads, plan->count) : 1;
    if (threads > 1 && call->share) call->share(call->crew, shared_worker, plan, threads, 1);
    else if (threads > 1 && call->parallel) call->parallel(worker, plan, (unsigned)threads, 0);
    else worker(plan);
    free(items);
    free(partials);
    return plan->done == plan->count ? OK : NO_MEMORY;
}

int rowcast_attend(const Call *call) {
    const int64_t share = call->heads / call->kv_heads, unit = call->is_half && HALF == PAIRS ? 2 : 1;
    Plan plan = {.call = call, .share = share, .units = up((call->key_size + unit - 1) / unit, LANES),
                 .width = up(call->value_size, LANES), .state = up(call->value_size, LANES) + LANES};
    uint64_t *order = malloc((size_t)(call->tokens * 8 + 8));
    Group *groups = malloc((size_t)(call->tokens * call->kv_heads + 1) * sizeof *groups);
    int64_t count = 0;
    int fault = order && groups ? put_in_order(call, order, &count) : NO_MEMORY;
    if (!fault && count) {
        plan.order = order;
        fault = run(&plan, groups, make_groups(call, order, count, most(1, GROUP / share), groups));
    }
    free(order);
    free(groups);
    return fault;
}

int rowcast_store(const Stored *call) {
    const int64_t size = call->is_half ? 2 : 4;
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t row = call->row[token], position = call->position[token];
        if (outside(row, position, call->rows, call->context)) return OUT_OF_RANGE;
    }
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t row = call->row[token], position = call->position[token];
        for (int64_t head = 0; row >= 0 && head < call->kv_heads; head++) {
            const int64_t key = row * call->key_row + head * call->key_head + position * call->key_at;
            const int64_t value = row * call->value_row + head * call->value_head + position * call->value_at;
            const char *new_key = call->key + (token * call->key_token + head * call->key_part) * size;
            const char *new_value = call->value + (token * call->value_token + head * call->value_part) * size;
            memcpy(call->keys + key * size, new_key, (size_t)(call->key_size * size));
            memcpy(call->values + value * size, new_value, (size_t)(call->value_size * size));
        }
    }
    return OK;
}

/* Called by another kernel's plan for a layer: store, then attend. */
void rowcast_store_and_attend(void *context, int64_t tokens) {
    Planned *planned = context;
    planned->stored.tokens = planned->call.tokens = tokens;
    if (!*planned->fault) *planned->fault = rowcast_store(&planned->stored);
    if (!*planned->fault) *planned->fault = rowcast_attend(&planned->call);
}

const char *rowcast_isa(void) { return ISA; }
