/* Linear layers on a CPU, and the small operations between them.
 *
 *     panel     16 outputs: lines of 64 bytes, one for every 4 bytes of a token's input
 *               (1 fp32, 2 bf16 or 4 int8 values), in the order of the input
 *     block     the lines of a few panels that stay in cache while all tokens pass
 *     tile      a few tokens by a few panels, summed in registers
 *     plan      operations run one after another in one call, all threads on each
 *
 * An output is one chain of sums over the input in ascending order, begun and ended in the same
 * way whatever the number of tokens, their places, the blocks and the threads: where a chain is
 * split, its exact state is stored in memory. So its bits depend on its token and its weights
 * alone. Every other operation treats each token independently, in one order. Knows no tensors
 * and checks no shapes: linear_kernel.py does.
 *
 *     c/lanes.h              vectors              c/linear/inputs.h      a token's input, laid out
 *     c/threads.h            threads              c/linear/multiply.h    a layer, block by block
 *     c/linear/layer.h       what a layer is      c/linear/operations.h  what is between layers
 *     c/linear/tile.h        sums in registers    c/linear/pack.h        from rows to panels
 */
#include "c/amx_here.h"
#include "c/linear/multiply.h"
#include "c/linear/operations.h"
#include "c/linear/pack.h"

static int operate(Crew *crew, const Operation *of, int64_t tokens) {
    static const Job jobs[] = {[NORM] = norm, [SWIGLU] = swiglu, [SUM] = sum, [ROTATE] = rotate,
                               [PICK] = pick, [CLAMPED] = clamped};
    if (of->what == LINEAR) return linear(crew, of, tokens);
    if (of->what == FOREIGN) of->foreign((void *)of->from, tokens);
    else share(crew, jobs[of->what], of, tokens, 1 + 2048 / (of->size * (of->heads + 1)));
    return OK;
}

/* Run every operation over this many tokens. */
int rowcast_run(Crew *crew, const Operation *operations, int64_t count, int64_t tokens) {
    int state = OK;
    pthread_mutex_lock(&crew->turn);
    for (int64_t each = 0; each < count && state == OK; each++)
        state = operate(crew, &operations[each], tokens);
    pthread_mutex_unlock(&crew->turn);
    return state;
}

/* Run one linear layer, whose operation is filled in here. */
int rowcast_linear(Crew *crew, const Operation *as, const void *from, void *to, const void *with,
                   int64_t tokens) {
    Operation operation = *as;
    operation.from = from;
    operation.to = to;
    operation.with = with;
    return rowcast_run(crew, &operation, 1, tokens);
}

/* For other kernels: run `job` over ranges of `items`, `grain` at a time, on any threads. */
void rowcast_share(Crew *crew, Job job, const void *context, int64_t items, int64_t grain) {
    pthread_mutex_lock(&crew->turn);
    share(crew, job, context, items, grain);
    pthread_mutex_unlock(&crew->turn);
}

/* 0 if the tile unit may be used; else why not. Called before threads start. */
int rowcast_amx_here(void) { return amx_here(); }

int rowcast_has_amx(void) { return HAS_AMX; }

/* Multiply in bf16, and in int8 where it is faster, by the tile unit from now on, or as it would. */
void rowcast_use_tiles(Crew *crew, int64_t how) { crew->tiles = how; }

int rowcast_is_fast(void) { return WIDE; }

const char *rowcast_arithmetic(void) {
#if PAIRED && QUADS
    return "avx512bf16";
#elif WIDE
    return QUADS ? "avx512vnni" : "avx512";
#else
    return "plain";
#endif
}
