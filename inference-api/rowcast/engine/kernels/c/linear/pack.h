/* From a weight's rows to panels, once per model: rounding, packing, turning. */
#pragma once
#include <math.h>
#include <stdlib.h>

#include "layer.h"

int64_t rowcast_lines(const Weight *weight) { return lines_of(weight); }

/* Quantize row `output` of a weight to bytes; set its scale and start. */
static void keep_bytes(const Weight *weight, const void *row, int half, int64_t output,
                       int8_t *kept) {
    float most = 0;
    for (int64_t at = 0; at < weight->inputs; at++)
        most = fmaxf(most, fabsf(get(row, half, at, weight->inputs)[0]));
    float by = most > 0 ? 127 / most : 0;
    int32_t whole = 0;
    for (int64_t at = 0; at < weight->inputs; at++)
        whole += kept[at] = (int8_t)rintf(get(row, half, at, weight->inputs)[0] * by);
    weight->scale[output] = most / 127;
    weight->start[output] = -128 * whole;
}

/* Pack `rows` rows of a weight as outputs first..first+rows; the lines must be zeros before. */
int rowcast_pack(const Weight *weight, const void *source, int64_t half, int64_t first,
                 int64_t rows) {
    int64_t lines = lines_of(weight);
    char *kept = malloc(lines * 4);
    if (!kept) return NO_MEMORY;
    memset(kept, 0, lines * 4);
    for (int64_t row = 0; row < rows; row++) {
        const char *from = row_of(source, half, weight->inputs, row);
        if (weight->kind == BYTES) keep_bytes(weight, from, half, first + row, (int8_t *)kept);
        else
            for (int64_t at = 0; at < weight->inputs; at += LANES)
                put(kept, weight->kind == HALVES, at, weight->inputs,
                    get(from, half, at, weight->inputs));
        int64_t output = first + row;
        char *to = weight->lines + output / LANES * lines * LINE + output % LANES * 4;
        for (int64_t line = 0; line < lines; line++) memcpy(to + line * LINE, kept + line * 4, 4);
    }
    free(kept);
    return OK;
}

/* Multiply rows of `odd` times `even` numbers, in place, by an orthogonal matrix: signs; the
 * Hadamard matrix of `even`, a power of two, on each part of a row; factors [odd, odd] between
 * parts. */
int rowcast_turn(float *rows, int64_t count, const float *signs, const float *factors, int64_t even,
                 int64_t odd) {
    const int64_t size = even * odd;
    float *room = malloc(size * sizeof(float));
    if (!room) return NO_MEMORY;
    for (float *row = rows; row < rows + count * size; row += size) {
        for (int64_t at = 0; at < size; at++) row[at] *= signs[at];
        for (int64_t apart = 1; apart < even; apart *= 2)
            for (int64_t pair = 0; pair < size; pair += 2 * apart)
                for (int64_t at = pair; at < pair + apart; at++) {
                    float one = row[at], other = row[at + apart];
                    row[at] = one + other;
                    row[at + apart] = one - other;
                }
        memset(room, 0, size * sizeof(float));
        for (int64_t part = 0; part < odd * odd; part++) {
            const float *from = row + part % odd * even, factor = factors[part];
            float *to = room + part / odd * even;
            for (int64_t at = 0; at < even; at++) to[at] += factor * from[at];
        }
        memcpy(row, room, size * sizeof(float));
    }
    free(room);
    return OK;
}
