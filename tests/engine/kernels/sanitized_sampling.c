/* Draws tokens and makes reports over ragged rows, in buffers without a byte to spare.
 *
 * test_sanitizers.py compiles it with sanitizers, which end it at the first fault. It ends itself if a
 * quotient is not the one of a division, or a token is not of the vocabulary. */
#include <stdio.h>

#include "token_sampler_kernel.c"

enum { ROWS = 3, QUOTIENTS = 300000, LIKELIEST = 7 };

static uint64_t state = 1;

static uint32_t number(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 32;
}

static float between(float low, float high) { return low + number() * 0x1p-32f * (high - low); }

static void *logits(int64_t size, int half) {
    char *rows = malloc(ROWS * size * (half ? 2 : 4));
    for (int64_t at = 0; at < ROWS * size; at++) {
        float value = between(-20, 20);
        if (number() % 8 == 0) value = number() % 2 ? -0.f : 0.f;
        if (half) memcpy(rows + 2 * at, (char *)&value + 2, 2);
        else memcpy(rows + 4 * at, &value, 4);
    }
    return rows;
}

static Seat seat_of(int64_t way, int64_t size) {
    static const double shares[] = {1, 0.3, 0.97};
    Seat seat = {.way = way, .top_k = way == RANKED ? 1 + number() % size : 0, .stream = number()};
    seat.temperature = number() % 2 ? 1 : between(0.01f, 3);
    seat.top_p = shares[number() % 3];
    seat.min_p = number() % 3 ? 0 : 0.01;
    return seat;
}

static void draw_all(Room *room, const void *from, int64_t size, int half, const double *powers) {
    Seat seats[ROWS];
    int64_t rows[ROWS], positions[ROWS], tokens[ROWS];
    for (int64_t way = GREEDY; way <= OPEN; way++) {
        for (int64_t row = 0; row < ROWS; row++)
            seats[row] = seat_of(way, size), rows[row] = row, positions[row] = number() % 100;
        Ask ask = {from, half, size, size, seats, rows, positions, tokens, ROWS, powers, 64, 1024};
        rowcast_choose(room, &ask);
        for (int64_t row = 0; row < ROWS; row++)
            if (tokens[row] < 0 || tokens[row] >= size) fprintf(stderr, "not a token\n"), exit(1);
    }
}

static void report_all(Room *room, const void *from, int64_t size, int half) {
    int64_t places[ROWS], tokens[ROWS], counts[ROWS], masses[ROWS], ids[ROWS * (LIKELIEST + 1)];
    double below[ROWS * (LIKELIEST + 1)];
    for (int64_t row = 0; row < ROWS; row++)
        places[row] = row, tokens[row] = number() % size, counts[row] = number() % (LIKELIEST + 1);
    Report report = {from, half, size, size, places, tokens, counts, ROWS, LIKELIEST + 1, masses, ids, below};
    rowcast_report(room, &report);
}

static void divide_some(void) {
    for (int each = 0; each < QUOTIENTS; each++) {
        const float by = number() % 2 ? between(0.01f, 3) : ldexpf(between(0.5f, 1), number() % 40 - 20);
        const Counted counted = counted_at(0, 0, by);
        const float value = -between(0, 1) * ldexpf(by, number() % 30 - 22);
        vf quotient = (vf){} + value;
        if (counted.how != BY_PRODUCTS) continue;
        divide(&quotient, 1, &counted, 1);
        if (quotient[0] != value / by)
            fprintf(stderr, "%a / %a is not %a\n", value, by, quotient[0]), exit(1);
    }
}

int main(void) {
    static const int64_t sizes[] = {1, 2, 15, 31, 33, 128, 129, 1000, 2049, 4127, 8256};
    double *powers = malloc((64 * 1024 + 1) * sizeof *powers);
    for (int64_t at = 0; at <= 64 * 1024; at++) powers[at] = exp2(at / 1024. - 64);
    for (uint64_t each = 0; each < sizeof sizes / sizeof *sizes; each++)
        for (int half = 0; half < 2; half++) {
            Room *room = rowcast_furnish(1, sizes[each], NULL, NULL);
            void *from = logits(sizes[each], half);
            for (int again = 0; again < 6; again++) {
                draw_all(room, from, sizes[each], half, powers);
                report_all(room, from, sizes[each], half);
            }
            free(from);
            rowcast_leave_room(room);
        }
    divide_some();
    printf("done\n");
}
