/* A weight, an operation of a plan, and a linear layer while it runs. */
#pragma once
#include "../lanes.h"

enum { CHUNK = 8 };               /* lines: an input is read 32 bytes at a time */
enum { FLOATS, HALVES, BYTES };   /* the format of a weight */
/* The kinds of operations. */
enum { LINEAR, NORM, SWIGLU, SUM, ROTATE, FOREIGN, PICK, CLAMPED };

/* A weight, as linear_kernel.py keeps it. */
typedef struct {
    char *lines;          /* panels, one after another */
    const float *bias;    /* by output, or null */
    float *scale;         /* by output; bytes only */
    int32_t *start;       /* by output: compensates the inputs' offset of 128; bytes only */
    const float *directions; /* of inputs, each of length 1, that are not rounded; bytes only */
    const uint16_t *columns; /* by direction and output, bf16: the weight times the direction */
    int64_t outputs, inputs, kind, apart; /* apart: how many directions */
} Weight;

typedef struct {
    int64_t what, half, out_half;  /* half: inputs are bf16; out_half: outputs too */
    const void *from, *with, *also;
    void *to;
    const Weight *weight;
    void (*foreign)(void *, int64_t);
    int64_t from_step, to_step;  /* elements from one token to the next */
    int64_t size, heads;         /* elements of a token that are read; heads to rotate or norm */
    int64_t mixed;               /* vectors of SwiGLU's results that are mixed; 1: none */
    double epsilon;
} Operation;

typedef struct {
    const Operation *operation;
    int64_t tokens, lines; /* lines per panel */
    int64_t bytes, step;   /* of a token's input, with zeros at its end; to the next one */
    int64_t how;           /* what multiplies */
    char *inputs;
    float *scales; /* by token; bytes only */
    float *parts;  /* by token: how much of its input is along each of the weight's directions */
} Layer;

static int64_t lines_of(const Weight *weight) {
    int64_t bytes = weight->inputs * (weight->kind == FLOATS ? 4 : weight->kind == HALVES ? 2 : 1);
    return (bytes + 4 * CHUNK - 1) / (4 * CHUNK) * CHUNK;
}

INLINE int64_t panels_of(const Weight *weight) { return (weight->outputs + LANES - 1) / LANES; }
