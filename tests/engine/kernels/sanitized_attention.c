/* Runs the attention kernel over ragged shapes, in buffers without a byte to spare.
 *
 * test_sanitizers.py compiles it with sanitizers, which end it at the first fault. It ends itself if
 * a token's bits depend on the other tokens. */
#include <stddef.h>
#include <stdio.h>

#include "attention_kernel.c"

enum { MOST = 40 }; /* tokens of a call */

static uint32_t state = 1;

static int64_t draw(int64_t below) {
    state = state * 1664525u + 1013904223u;
    return (int64_t)(state >> 8) % below;
}

/* Numbers in fp32 or bf16; a few are NaN, infinite or denormal. */
static char *numbers(int64_t count, int64_t half) {
    static const uint32_t odd[] = {0x7FC00000, 0x7F800000, 0x00010000, 0x80000000};
    char *made = malloc(count * (half ? 2 : 4) + !count);
    for (int64_t at = 0; at < count; at++) {
        const float value = (float)(draw(2001) - 1000) * 0x1p-9f;
        uint32_t raw;
        memcpy(&raw, &value, sizeof raw);
        if (!draw(5000)) raw = odd[draw(4)];
        if (half) memcpy(made + 2 * at, (char *)&raw + 2, 2);
        else memcpy(made + 4 * at, &raw, 4);
    }
    return made;
}

/* Threads that come one after another: items are split as for many. */
static void in_turn(void (*job)(void *), void *context, unsigned threads, unsigned flags) {
    (void)flags;
    for (unsigned each = 0; each < threads; each++) job(context);
}

/* A call of drawn sizes; heads lie before positions in the caches, or after. */
static Call drawn(void) {
    static const int64_t sizes[] = {1, 7, 8, 9, 16, 17, 24, 31, 64, 80};
    static const int64_t contexts[] = {1, 63, 64, 65, 130, 511, 513, 1100};
    Call call = {.rows = 1 + draw(3), .kv_heads = 1 + draw(3), .context = contexts[draw(8)],
                 .key_size = sizes[draw(10)], .value_size = sizes[draw(10)], .is_half = draw(2),
                 .tokens = 1 + draw(MOST), .window = draw(2) ? 0 : 1 + draw(100), .threads = 1 + draw(3),
                 .parallel = in_turn, .scale = 0.2, .softcap = draw(3) ? 0 : 5};
    const int64_t heads = call.kv_heads, first = draw(2);
    call.heads = heads * (1 + draw(9));
    call.key_row = heads * call.context * call.key_size;
    call.key_head = first ? call.context * call.key_size : call.key_size;
    call.key_at = first ? call.key_size : heads * call.key_size;
    call.value_row = heads * call.context * call.value_size;
    call.value_head = first ? call.context * call.value_size : call.value_size;
    call.value_at = first ? call.value_size : heads * call.value_size;
    call.query_head = call.key_size;
    call.query_token = call.heads * call.key_size;
    call.bias_head = call.context;
    return call;
}

/* True if a token alone, on one thread, has the bits that it had in company. */
static int is_pure(const Call *call, int64_t token) {
    const int64_t size = call->is_half ? 2 : 4, bytes = call->heads * call->value_size * size;
    Call one = *call;
    one.tokens = one.threads = 1;
    one.query += token * call->query_token * size;
    one.row += token;
    one.position += token;
    one.out = malloc(bytes);
    const int fault = rowcast_attend(&one);
    const int same = !fault && !memcmp(one.out, call->out + token * bytes, bytes);
    free(one.out);
    return same;
}

/* Store the tokens' keys and values, which may meet at one place. */
static int stored(const Call *call) {
    Stored store = {0};
    memcpy(&store, call, offsetof(Stored, key)); /* both begin with CACHES_AND_PLACES */
    char *key = numbers(call->tokens * call->kv_heads * call->key_size, call->is_half);
    char *value = numbers(call->tokens * call->kv_heads * call->value_size, call->is_half);
    store.key = key;
    store.value = value;
    store.key_part = call->key_size;
    store.key_token = call->kv_heads * call->key_size;
    store.value_part = call->value_size;
    store.value_token = call->kv_heads * call->value_size;
    const int fault = rowcast_store(&store);
    free(key);
    free(value);
    return fault;
}

static int passes(void) {
    Call call = drawn();
    const int64_t half = call.is_half, places = call.rows * call.kv_heads * call.context;
    const int64_t begin = draw(call.context), row = draw(call.rows);
    int32_t *rows = malloc(call.tokens * 4), *positions = malloc(call.tokens * 4);
    for (int64_t each = 0; each < call.tokens; each++) { /* a piece of a prompt, and others */
        const int in_piece = draw(4) && begin + each < call.context;
        rows[each] = (int32_t)(in_piece ? row : draw(call.rows + 1) - 1);
        positions[each] = (int32_t)(in_piece ? begin + each : draw(call.context));
    }
    char *query = numbers(call.tokens * call.query_token, half);
    char *sinks = draw(2) ? numbers(call.heads, 0) : 0;
    char *bias = draw(2) ? numbers(call.heads * call.context, 0) : 0;
    call.keys = numbers(places * call.key_size, half);
    call.values = numbers(places * call.value_size, half);
    call.out = malloc(call.tokens * call.heads * call.value_size * (half ? 2 : 4));
    call.row = rows, call.position = positions, call.query = query;
    call.sinks = (const float *)sinks, call.bias = (const float *)bias;
    int good = !stored(&call) && !rowcast_attend(&call);
    for (int64_t each = 0; good && each < call.tokens; each += 1 + call.tokens / 4)
        good = is_pure(&call, each);
    void *all[] = {rows, positions, query, sinks, bias, call.keys, call.values, call.out};
    for (size_t each = 0; each < sizeof all / sizeof *all; each++) free(all[each]);
    return good;
}

int main(void) {
    for (int64_t round = 0; round < 250; round++)
        if (!passes()) {
            fprintf(stderr, "round %d: a fault, or another token changed bits\n", (int)round);
            return 1;
        }
    printf("%s done\n", rowcast_isa());
    return 0;
}
