/* Scores to weights within a span, spans folded into a token's result, and its end. */
#pragma once
#include "call.h"

/* How products become scores in powers of two: a call's constants, which no store can change. */
typedef struct {
    vf scale, cap;
    int capped;
} Scale;

INLINE Scale scale_of(const Call *call) {
    const int capped = call->softcap > 0;
    const double scale = capped ? call->scale / call->softcap : call->scale * LOG2E;
    return (Scale){splat((float)scale), splat((float)(call->softcap * LOG2E)), capped};
}

/* Scores: scaled, capped, biased; the lanes outside low..high lowest of all. */
INLINE vf scaled(const Scale *how, vf score, const float *bias, int64_t at, int64_t low, int64_t high) {
    score *= how->scale;
    if (how->capped) score = hyperbolic_tangent(score) * how->cap;
    if (bias) score = fused(take((const char *)(bias + at), high - at, FLOATS), splat(LOG2E), score);
    if (at >= low && at + LANES <= high) return score;
    const vi index = lanes((int32_t)at);
    return choose((index >= (int32_t)low) & (index < (int32_t)high), score, splat(-__builtin_inff()));
}

/* Turn one query's scores in a span into weights, in place; write their top and sum to `state`. */
INLINE void weigh(const Call *call, float *scores, const float *bias, int64_t low, int64_t high,
                  float *state, const int kind) {
    (void)kind;
    const Scale how = scale_of(call);
    vf top = splat(-__builtin_inff()), sum = splat(0);
    for (int64_t at = low / LANES * LANES; at < high; at += LANES) {
        const vf score = scaled(&how, load(scores + at), bias, at, low, high);
        store(scores + at, score);
        top = larger(score, top);
    }
    state[0] = largest_of(top);
    top = splat(state[0]);
    for (int64_t at = low / LANES * LANES; at < high; at += LANES) {
        const vf weight = power(load(scores + at) - top);
        sum += weight;
#if PAIRED
        if (kind == PAIRS) {
            const __m256bh narrow = _mm512_cvtneps_pbh((__m512)weight);
            memcpy((char *)scores + at * 2, &narrow, sizeof narrow);
            continue;
        }
#endif
        store(scores + at, weight);
    }
    state[1] = sum_of(sum);
}

/* Fold a token's next span into its result so far. */
INLINE void fold(float *total, const float *part, int64_t width) {
    const float top = total[width] < part[width] ? part[width] : total[width];
    const float keep = power_of(total[width] - top), take_in = power_of(part[width] - top);
    for (int64_t at = 0; at < width; at += LANES)
        store(total + at, fused(load(part + at), splat(take_in), load(total + at) * splat(keep)));
    total[width] = top;
    total[width + 1] = total[width + 1] * keep + part[width + 1] * take_in;
}

/* The first `count` numbers as fp32, or as bf16 rounded to nearest even. */
INLINE void give(char *to, vf value, int64_t count, int64_t is_half) {
    const vi raw = (vi)value, odd = raw >> 16 & 1;
    const vi rounded = (vi)choose(value == value, (vf)((raw + 0x7fff + odd) >> 16), bits(0x7fc0));
    const vh narrow = __builtin_convertvector(rounded, vh);
    const size_t bytes = (size_t)(least(count, LANES) * (is_half ? 2 : 4));
    if (count < LANES) memcpy(to, is_half ? (const void *)&narrow : (const void *)&value, bytes);
    else if (is_half) memcpy(to, &narrow, sizeof narrow);
    else store(to, value);
}

/* Write the result of one (token, head), divided by its sum. */
INLINE void finish(const Call *call, const float *total, int64_t width, int64_t head, char *out) {
    float rest = 1, sum = total[width + 1];
    if (call->sinks) {
        const float sink = call->sinks[head] * LOG2E;
        const float top = total[width] < sink ? sink : total[width];
        rest = power_of(total[width] - top);
        sum = sum * rest + power_of(sink - top);
    }
    rest /= sum;
    const int64_t size = call->is_half ? 2 : 4;
    for (int64_t at = 0; at < call->value_size; at += LANES)
        give(out + at * size, load(total + at) * splat(rest), call->value_size - at, call->is_half);
}
