// The dense layer: three matrix products. Rows of C are samples; the parts are panels of columns.

// y[m][n0 .. n1) += b, then act, for rows of pointers
inline void finish_rows(float* const* y, int M, int n0, int n1, const float* b, Act act) {
    if (b)
        for (int m = 0; m < M; m++)
            for_vectors(n1 - n0, [=](size_t j, auto lanes) {
                lanes.store(y[m] + n0 + j, lanes.load(y[m] + n0 + j) + lanes.load(b + n0 + j));
            });
    if (act.kind != NONE)
        for (int m = 0; m < M; m++) ACTIVATIONS[act.kind](y[m] + n0, y[m] + n0, n1 - n0, act.slope);
}

struct Rows {
    const float** in;
    float** out;
};

// Pointers to M rows of x and y
inline Rows rows_of(const float* x, size_t ldx, float* y, size_t ldy, int M) {
    const float** in = (const float**)scratch_take(2 * M);
    float** out = (float**)scratch_take(2 * M);
    for (int m = 0; m < M; m++) {
        in[m] = x + m * ldx;
        out[m] = y + m * ldy;
    }
    return {in, out};
}

// y (N,O) = act(x (N,I) B + b), B given as panels
inline void dense(const float* x, const Panels& B, const float* b, float* y, int N, int I, int O, Act act) {
    const Rows rows = rows_of(x, I, y, O, N);
    const Cut terms(I, KC), tiles(N, MR);
    for_parts((O + NR - 1) / NR, [&](int part) {
        const int n = part * NR, end = n + NR < O ? n + NR : O;
        for (int t = 0; t < terms.pieces; t++)
            for (int i = 0; i < tiles.pieces; i++) {
                const int m = tiles.begin(i), k = terms.begin(t);
                const Term term = {rows.in + m, B.from(k, n)};
                Micro<ALONG_M>::calls[tiles.size(i) - 1](1, &term, terms.size(t), k, B.ld, rows.out + m, n, end, t > 0);
            }
        finish_rows(rows.out, N, n, end, b, act);
    });
}

void linear_forward(const float* x, const float* w, const float* b, float* y, int N, int I, int O, Act act) {
    dense(x, {w, (size_t)NR, (size_t)O}, b, y, N, I, O, act);
}

// dx = dy w^T
void linear_dgrad(const float* dy, const float* w, float* dx, int N, int I, int O) {
    const int panels = (I + NR - 1) / NR;
    float* packed = scratch_take((size_t)panels * O * NR);
    for_parts(panels, [&](int p) { pack_transposed(w, O, O, I, p * NR, packed + (size_t)p * O * NR); });
    dense(dy, {packed, (size_t)O * NR, (size_t)NR}, nullptr, dx, N, O, I, {NONE, 0});
}

// dw (I,O) (+)= x^T dy over samples [n0, n1), rows [i0, i1), one panel of columns
inline void wgrad_part(const float* const* x_rows, float* const* dw_rows, const float* dy, int n0, int n1, int i0, int i1, int o,
                       int O, bool add) {
    const Cut tiles(i1 - i0, MR), terms(n1 - n0, KC);
    const int end = o + NR < O ? o + NR : O;
    for (int t = 0; t < terms.pieces; t++)
        for (int i = 0; i < tiles.pieces; i++) {
            const int m = i0 + tiles.begin(i), n = n0 + terms.begin(t);
            const Term term = {x_rows + n, dy + (size_t)n * O + o};
            Micro<ALONG_K>::calls[tiles.size(i) - 1](1, &term, terms.size(t), m, O, dw_rows + m, o, end, add || t > 0);
        }
}

constexpr int FEW_PARTS = 8, SPLIT = 2048;

// dw += x^T dy. A small dw with many samples is summed in stretches of SPLIT samples, then these in order.
void linear_wgrad(const float* dy, const float* x, float* dw, int N, int I, int O) {
    const Cut blocks(I, 4 * MR);
    const int panels = (O + NR - 1) / NR, cuts = blocks.pieces < FEW_PARTS ? panels : 1, parts = blocks.pieces * cuts;
    const Cut stretches(N, parts < FEW_PARTS ? SPLIT : N);
    const size_t size = (size_t)I * O;
    const float* const* x_rows = rows_of(x, I, nullptr, 0, N).in;
    float* sums = stretches.pieces > 1 ? scratch_take(size * stretches.pieces) : dw;
    float* const* dw_rows = rows_of(nullptr, 0, sums, O, I * stretches.pieces).out;
    for_parts(parts * stretches.pieces, [&](int part) {
        const int s = part / parts, block = part % parts / cuts, cut = part % cuts;
        const int i0 = blocks.begin(block), i1 = i0 + blocks.size(block), n0 = stretches.begin(s), n1 = n0 + stretches.size(s);
        for (int o = cut * NR; o < (cuts == 1 ? O : cut * NR + 1); o += NR)
            wgrad_part(x_rows, dw_rows + s * I, dy, n0, n1, i0, i1, o, O, stretches.pieces == 1);
    });
    if (stretches.pieces > 1)
        for_blocks(size, BLOCK, [=](size_t begin, size_t end) {
            for_vectors(end - begin, [=](size_t j, auto lanes) {
                vf sum = lanes.load(dw + begin + j);
                for (int s = 0; s < stretches.pieces; s++) sum += lanes.load(sums + s * size + begin + j);
                lanes.store(dw + begin + j, sum);
            });
        });
}

constexpr size_t BIAS_ROWS = 512;

// Sums of BIAS_ROWS rows each, then these in order
void bias_grad(const float* dy, float* db, size_t rows, int C) {
    const size_t blocks = (rows + BIAS_ROWS - 1) / BIAS_ROWS;
    float* sums = scratch_take(blocks * C);
    for_blocks(rows, BIAS_ROWS, [=](size_t begin, size_t end) {
        float* sum = sums + begin / BIAS_ROWS * C;
        for_vectors(C, [=](size_t c, auto lanes) {
            vf s = vf{};
            for (size_t r = begin; r < end; r++) s += lanes.load(dy + r * C + c);
            lanes.store(sum + c, s);
        });
    });
    for_vectors(C, [=](size_t c, auto lanes) {
        vf s = vf{};
        for (size_t block = 0; block < blocks; block++) s += lanes.load(sums + block * C + c);
        lanes.store(db + c, lanes.load(db + c) + s);
    });
}

constexpr Linear LINEAR = {linear_forward, linear_dgrad, linear_wgrad, bias_grad};
