/* The operations between linear layers: each treats its tokens independently, in one order. */
#pragma once
#include <math.h>

#include "layer.h"

enum { MIXED = 64 }; /* vectors of SwiGLU's results, at most, that are mixed */

static void norm_one(const Operation *of, const char *from, char *to) {
    vf squares[4] = {};
    for (int64_t at = 0; at < of->size; at += LANES) {
        vf value = get(from, of->half, at, of->size);
        vf *sum = &squares[at / LANES % 4];
        *sum = multiply_add(value, value, *sum);
    }
    float sum = total(squares[0] + squares[1] + (squares[2] + squares[3]));
    vf by = splat(1 / sqrtf(sum / of->size + (float)of->epsilon));
    for (int64_t at = 0; at < of->size; at += LANES) {
        vf value = as_kept(get(from, of->half, at, of->size) * by, of->half);
        put(to, of->half, at, of->size, value * get(of->with, of->half, at, of->size));
    }
}

/* Normalize the whole row of each token, or each of its heads. */
static void norm(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    for (int64_t token = first; token < last; token++) {
        const char *from = row_of(of->from, of->half, of->from_step, token);
        char *to = row_of(of->to, of->half, of->to_step, token);
        norm_one(of, from, to);
        for (int64_t head = 1; head < of->heads; head++)
            norm_one(of, row_of(from, of->half, of->size, head), row_of(to, of->half, of->size, head));
    }
}

/* e to the power of x, to about one unit in the last place; infinite above 88. */
INLINE vf exponential(vf x) {
    const vf magic = splat(0x1.8p23f);
    const vi over = x > 88;
    x = choose(x < -87, splat(-87), choose(over, splat(0), x));
    vf power = multiply_add(x, splat(0x1.715476p0f), magic);
    vi whole = (vi)power - (vi)magic;
    power -= magic;
    x = multiply_add(power, splat(-0x1.62e4p-1f), x);
    x = multiply_add(power, splat(-0x1.7f7d1cp-20f), x);
    vf sum = splat(1.f / 5040);
    sum = multiply_add(sum, x, splat(1.f / 720));
    sum = multiply_add(sum, x, splat(1.f / 120));
    sum = multiply_add(sum, x, splat(1.f / 24));
    sum = multiply_add(sum, x, splat(1.f / 6));
    sum = multiply_add(sum, x, splat(.5f));
    sum = multiply_add(sum, x, splat(1));
    sum = multiply_add(sum, x, splat(1));
    return choose(over, splat(INFINITY), (vf)((vi)sum + (whole << 23)));
}

/* Sums and differences of `count` vectors, a power of two: each gets a part of every vector. */
INLINE void mix(vf *values, int64_t count) {
    for (int64_t apart = 1; apart < count; apart *= 2)
        for (int64_t low = 0; low < count; low = (low + 1 + apart) & ~apart) {
            vf one = values[low], other = values[low + apart];
            values[low] = one + other;
            values[low + apart] = one - other;
        }
}

INLINE vf gated(const char *gate, const char *up, int half, int64_t at, int64_t size) {
    vf value = get(gate, half, at, size);
    return as_kept(value / (1 + exponential(-value)), half) * get(up, half, at, size);
}

static void swiglu(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const int64_t size = of->size, mixed = of->mixed;
    const int half = of->half;
    for (int64_t token = first; token < last; token++) {
        const char *gate = row_of(of->from, half, of->from_step, token);
        const char *up = row_of(gate, half, size, 1);
        char *to = row_of(of->to, half, of->to_step, token);
        if (mixed == 1)
            for (int64_t at = 0; at < size; at += LANES)
                put(to, half, at, size, gated(gate, up, half, at, size));
        else
            for (int64_t at = 0; at < size; at += mixed * LANES) {
                vf values[MIXED];
                for (int64_t each = 0; each < mixed; each++)
                    values[each] = gated(gate, up, half, at + each * LANES, size);
                mix(values, mixed);
                for (int64_t each = 0; each < mixed; each++)
                    put(to, half, at + each * LANES, size, values[each]);
            }
    }
}

/* As SwiGLU, but gate and up are clamped, the sigmoid is steeper, and 1 is added to up. */
static void clamped(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const float *steep_and_limit = of->with;
    const vf steep = splat(steep_and_limit[0]), limit = splat(steep_and_limit[1]);
    for (int64_t token = first; token < last; token++) {
        const char *gates = row_of(of->from, of->half, of->from_step, token);
        const char *ups = row_of(gates, of->half, of->size, 1);
        char *to = row_of(of->to, of->half, of->to_step, token);
        for (int64_t at = 0; at < of->size; at += LANES) {
            vf gate = get(gates, of->half, at, of->size), up = get(ups, of->half, at, of->size);
            gate = choose(gate > limit, limit, gate);
            up = choose(up > limit, limit, choose(up < -limit, -limit, up));
            vf steeper = as_kept(gate * steep, of->half);
            vf open = as_kept(1 / (1 + exponential(-steeper)), of->half);
            put(to, of->half, at, of->size,
                as_kept(up + 1, of->half) * as_kept(gate * open, of->half));
        }
    }
}

static void sum(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    for (int64_t token = first; token < last; token++) {
        const char *from = row_of(of->from, of->half, of->from_step, token);
        const char *with = row_of(of->with, of->half, of->to_step, token);
        char *to = row_of(of->to, of->half, of->to_step, token);
        for (int64_t at = 0; at < of->size; at += LANES)
            put(to, of->half, at, of->size,
                get(from, of->half, at, of->size) + get(with, of->half, at, of->size));
    }
}

/* x cos + half-turned x sin, each product rounded to the dtype. */
static void rotate(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const int half = of->half;
    const int64_t middle = of->size / 2;
    for (int64_t token = first; token < last; token++) {
        const char *cos = row_of(of->with, half, of->size, token);
        const char *sin = row_of(of->also, half, of->size, token);
        const char *cos2 = row_of(cos, half, middle, 1), *sin2 = row_of(sin, half, middle, 1);
        for (int64_t head = 0; head < of->heads; head++) {
            char *low = row_of(row_of(of->to, half, of->to_step, token), half, of->size, head);
            char *high = row_of(low, half, middle, 1);
            for (int64_t at = 0; at < middle; at += LANES) {
                vf a = get(low, half, at, middle), b = get(high, half, at, middle);
                put(low, half, at, middle,
                    as_kept(a * get(cos, half, at, middle), half) -
                        as_kept(b * get(sin, half, at, middle), half));
                put(high, half, at, middle,
                    as_kept(b * get(cos2, half, at, middle), half) +
                        as_kept(a * get(sin2, half, at, middle), half));
            }
        }
    }
}

/* Copy each token's row of a table. */
static void pick(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const int32_t *index = of->with;
    for (int64_t token = first; token < last; token++)
        memcpy(row_of(of->to, of->half, of->to_step, token),
               row_of(of->from, of->half, of->from_step, index[token]),
               of->size * (of->half ? 2 : 4));
}
