/* Runs the linear kernel over ragged shapes, in buffers without a byte to spare.
 *
 * test_sanitizers.py compiles it with sanitizers, which end it at the first fault. It ends itself if
 * a token's bits depend on the other tokens. */
#include <stdio.h>

#include "linear_kernel.c"

static uint32_t state = 1;

static uint32_t draw(void) { return state = state * 1664525u + 1013904223u; }

/* A row of numbers in fp32 or bf16; half of the calls mix in what is not ordinary. */
static void *numbers(int64_t count, int half) {
    char *row = malloc(count * (half ? 2 : 4) + !count);
    for (int64_t at = 0; at < count; at++) {
        const float value = ((int32_t)draw() >> 8) * 0x1p-22f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (draw() >> 24 == 0) bits = draw() & 1 ? 0x7FC00000 : 0x7F800000;
        if (draw() >> 24 == 0) bits = 0x00010000;
        if (half) memcpy(row + 2 * at, (char *)&bits + 2, 2);
        else memcpy(row + 4 * at, &bits, 4);
    }
    return row;
}

static void *aligned(int64_t size) {
    void *room;
    if (posix_memalign(&room, LINE, size ? size : LINE)) abort();
    return memset(room, 0, size);
}

static Weight packed(int64_t kind, int64_t outputs, int64_t inputs, int64_t apart) {
    Weight weight = {.outputs = outputs, .inputs = inputs, .kind = kind, .apart = apart};
    const int64_t padded = up(outputs, LANES);
    weight.lines = aligned(padded * lines_of(&weight) * 4);
    float *bias = aligned(padded * sizeof(float));
    for (int64_t at = 0; at < outputs; at++) bias[at] = at;
    weight.bias = bias;
    weight.scale = aligned(padded * sizeof(float));
    weight.start = aligned(padded * sizeof(int32_t));
    float *directions = aligned(apart * up(inputs, 4 * LANES) * sizeof(float));
    for (int64_t each = 0; each < apart; each++)
        directions[each * up(inputs, 4 * LANES) + each % inputs] = 1;
    weight.directions = directions;
    weight.columns = aligned(apart * padded * 2);
    const int half = kind == HALVES;
    void *rows = numbers(outputs * inputs, half);
    if (rowcast_pack(&weight, rows, half, 0, outputs)) abort();
    free(rows);
    return weight;
}

static void discard(Weight *weight) {
    free(weight->lines);
    free((void *)weight->bias);
    free(weight->scale);
    free(weight->start);
    free((void *)weight->directions);
    free((void *)weight->columns);
}

static void multiply_some(Crew *crew, const Weight *weight, int half, int out_half, int64_t tokens) {
    const int64_t outputs = weight->outputs, size = out_half ? 2 : 4;
    free(crew->inputs); /* it grows to the need of the largest layer: begin with none */
    crew->inputs = NULL, crew->inputs_size = 0;
    void *from = numbers(tokens * weight->inputs, half), *with = numbers(tokens * outputs, out_half);
    char *to = malloc(tokens * outputs * size), *one = malloc(outputs * size);
    const Operation as = {.what = LINEAR, .half = half, .out_half = out_half, .weight = weight,
                          .from_step = weight->inputs, .to_step = outputs, .size = weight->inputs};
    if (rowcast_linear(crew, &as, from, to, with, tokens)) abort();
    for (int64_t token = 0; token < tokens; token += 1 + tokens / 3) {
        if (rowcast_linear(crew, &as, row_of(from, half, weight->inputs, token), one,
                           row_of(with, out_half, outputs, token), 1))
            abort();
        if (memcmp(one, to + token * outputs * size, outputs * size)) {
            fprintf(stderr, "token %d of %d, kind %d, [%d, %d], tiles %d: other bits\n", (int)token,
                    (int)tokens, (int)weight->kind, (int)outputs, (int)weight->inputs,
                    (int)crew->tiles);
            exit(1);
        }
    }
    free(from), free(with), free(to), free(one);
}

static void all_layers(Crew *crew) {
    static const int64_t shapes[][2] = {{1, 1}, {17, 33}, {50, 100}, {33, 70}, {16, 64}, {40, 512}};
    static const int64_t counts[] = {1, 2, 4, 5, 8, 9, 16, 17, 32, 33, 65};
    for (int64_t kind = FLOATS; kind <= BYTES; kind++)
        for (uint64_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
            Weight weight = packed(kind, shapes[shape][0], shapes[shape][1],
                                   kind == BYTES && shape % 2 ? 2 : 0);
            for (uint64_t each = 0; each < sizeof counts / sizeof *counts; each++)
                multiply_some(crew, &weight, kind == FLOATS ? 0 : kind == HALVES || each % 2,
                              each % 3 != 0, counts[each]);
            discard(&weight);
        }
}

static void operation(Crew *crew, Operation of, int64_t from, int64_t to, int64_t with) {
    for (int64_t tokens = 1; tokens < 40; tokens += 19)
        for (int half = 0; half < 2; half++) {
            int32_t *index = calloc(tokens, sizeof *index);
            of.half = of.out_half = half;
            of.from = numbers(tokens * from, half);
            of.to = of.what == ROTATE ? (void *)of.from : malloc(tokens * to * (half ? 2 : 4));
            void *rows = numbers(tokens * with, half), *others = numbers(tokens * with, half);
            of.with = of.what == PICK ? (void *)index : rows;
            of.also = others;
            of.from_step = from, of.to_step = to;
            if (rowcast_run(crew, &of, 1, tokens)) abort();
            if (of.what != ROTATE) free(of.to);
            free((void *)of.from), free(rows), free(others), free(index);
        }
}

static void other_operations(Crew *crew) {
    for (int64_t size = 2; size < 200; size += 62) {
        operation(crew, (Operation){.what = NORM, .size = size, .heads = 1, .epsilon = 1e-6}, size,
                  size, size);
        operation(crew, (Operation){.what = SWIGLU, .size = size, .mixed = 1}, 2 * size, size, 0);
        operation(crew, (Operation){.what = SUM, .size = size}, size, size, size);
        operation(crew, (Operation){.what = ROTATE, .size = size, .heads = 3}, 3 * size, 3 * size,
                  size);
        operation(crew, (Operation){.what = PICK, .size = size}, size, size, 0);
    }
    operation(crew, (Operation){.what = SWIGLU, .size = 512, .mixed = 16}, 1024, 512, 0);
}

int main(void) {
    for (int64_t how = VECTORS; how <= EMULATED; how++) {
        if (how == HARDWARE && rowcast_amx_here()) continue;
        for (int64_t threads = 1; threads <= 3; threads += 2) {
            Crew *crew = rowcast_gather(threads);
            rowcast_use_tiles(crew, how);
            all_layers(crew);
            if (how == VECTORS) other_operations(crew);
            rowcast_leave(crew);
        }
        printf("%s\n", (const char *[]){"vectors", "hardware", "emulated"}[how]);
    }
}
