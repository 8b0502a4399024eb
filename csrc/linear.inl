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

// y (N,O) = act(x (N,I) B + b); pack_panel(n, to) copies B's panel of the columns from n, which all rows then read
template <class Pack>
inline void dense(const float* x, const Pack& pack_panel, const float* b, float* y, int N, int I, int O, Act act) {
    const Rows rows = rows_of(x, I, y, O, N);
    const Cut terms(I, KC), tiles(N, MR);
    for_parts((O + NR - 1) / NR, [&](int part) {
        const int n = part * NR, end = n + NR < O ? n + NR : O;
        float* panel = scratch_take((size_t)I * NR);
        pack_panel(n, panel);
        for (int t = 0; t < terms.pieces; t++)
            for (int i = 0; i < tiles.pieces; i++) {
                const int m = tiles.begin(i), k = terms.begin(t);
                const Term<ALONG_M> term = {rows.in + m, (size_t)k, panel + (size_t)k * NR};
                Micro<ALONG_M>::calls[tiles.size(i) - 1](1, &term, terms.size(t), NR, rows.out + m, n, end, t > 0);
            }
        finish_rows(rows.out, N, n, end, b, act);
    });
}

constexpr int FEW_SAMPLES = 4, STRETCH = 512;  // numbers of y per part, which its first cache holds

// y = act(x w + b) for so few samples that reading w is all there is to do: w's rows as they lie, four at a time
inline void dense_few(const float* x, const float* w, const float* b, float* y, int N, int I, int O, Act act) {
    const Rows rows = rows_of(x, I, y, O, N);
    for_blocks(O, STRETCH, [=](size_t begin, size_t end) {
        for (int n = 0; n < N; n++)
            for_vectors(end - begin, [=](size_t o, auto lanes) { lanes.store(rows.out[n] + begin + o, vf{}); });
        for (int i = 0; i < I; i += 4)
            for (int n = 0; n < N; n++) {
                float *to = rows.out[n] + begin, factor[4] = {};
                const float* from[4];
                for (int j = 0; j < 4; j++) {
                    from[j] = w + (size_t)(i + j < I ? i + j : i) * O + begin;
                    if (i + j < I) factor[j] = rows.in[n][i + j];
                }
                const int terms = I - i < 4 ? I - i : 4;
                for_vectors(end - begin, [=](size_t o, auto lanes) {
                    vf sum = lanes.load(to + o);
                    if (terms == 4) {
#pragma GCC unroll 4
                        for (int j = 0; j < 4; j++) sum = mul_add(all(factor[j]), lanes.load(from[j] + o), sum);
                    } else {
                        for (int j = 0; j < terms; j++) sum = mul_add(all(factor[j]), lanes.load(from[j] + o), sum);
                    }
                    lanes.store(to + o, sum);
                });
            }
        finish_rows(rows.out, N, (int)begin, (int)end, b, act);
    });
}

// The layer of one output, D's last: w is one column, which as a row is contiguous, and a sample's output a dot product
inline void dense_one(const float* x, const float* w, const float* b, float* y, int N, int I, Act act) {
    const Rows rows = rows_of(x, I, y, 1, N);
    const Cut tiles(N, DOT_M);
    for_parts(tiles.pieces, [&](int part) {
        const int n = tiles.begin(part);
        const Dot term = {rows.in + n, w};
        DOTS[tiles.size(part) - 1][0](1, &term, I, I, rows.out + n, 0);
        finish_rows(rows.out + n, tiles.size(part), 0, 1, b, act);
    });
}

void linear_forward(const float* x, const float* w, const float* b, float* y, int N, int I, int O, Act act) {
    if (O == 1) return dense_one(x, w, b, y, N, I, act);
    if (N <= FEW_SAMPLES) return dense_few(x, w, b, y, N, I, O, act);
    dense(x, [=](int n, float* panel) { pack(w, O, I, O, n, panel); }, b, y, N, I, O, act);
}

// dx = dy w^T
void linear_dgrad(const float* dy, const float* w, float* dx, int N, int I, int O) {
    if (O == 1)
        return for_parts(N, [=](int n) {
            for_vectors(I, [=](size_t i, auto lanes) { lanes.store(dx + (size_t)n * I + i, all(dy[n]) * lanes.load(w + i)); });
        });
    dense(dy, [=](int n, float* panel) { pack_transposed(w, O, O, I, n, panel); }, nullptr, dx, N, O, I, {NONE, 0});
}

constexpr int FEW_PARTS = 8, SPLIT = 512;
constexpr int BLOCK_M = 4 * MR, TERMS = WIDTH == 16 ? 128 : 256;  // (BLOCK_M + NR) TERMS numbers fill the first cache
constexpr int GROUP_N = 2;

// Rows of A as the micro-kernels along k read them: BLOCK_M columns from i0 of K rows of x, `ldx` apart, one after the other
inline void pack_block(const float* x, size_t ldx, int K, int columns, float* to) {
    for (int k = 0; k < K; k++, x += ldx, to += BLOCK_M)
        for_vectors(columns, [=](size_t i, auto lanes) { lanes.store(to + i, lanes.load(x + i)); });
}

// dw (I,O) += x^T dy over K samples. x and dy are packed; a part takes GROUP_N panels of columns, and of few columns also
// a share of the rows.
inline void wgrad(const float* dy, const float* x, float* dw, int N, int I, int O, bool add) {
    const int blocks = (I + BLOCK_M - 1) / BLOCK_M, panels = (O + NR - 1) / NR;
    const Cut groups(panels, GROUP_N), shares(blocks, groups.pieces < FEW_PARTS ? (blocks * groups.pieces + FEW_PARTS - 1) / FEW_PARTS : blocks);
    const Cut terms(N, TERMS);
    float* packed = scratch_take((size_t)blocks * N * BLOCK_M);
    for_parts(blocks, [&](int block) {
        const int i0 = block * BLOCK_M;
        pack_block(x + i0, I, N, I - i0 < BLOCK_M ? I - i0 : BLOCK_M, packed + (size_t)block * N * BLOCK_M);
    });
    float* const* rows = rows_of(nullptr, 0, dw, O, I).out;
    for_parts(groups.pieces * shares.pieces, [&](int part) {
        const int group = part / shares.pieces, share = part % shares.pieces, first = groups.begin(group);
        float* b = scratch_take((size_t)groups.size(group) * N * NR);
        for (int p = 0; p < groups.size(group); p++) pack(dy, O, N, O, (first + p) * NR, b + (size_t)p * N * NR);
        for (int t = 0; t < terms.pieces; t++)
            for (int block = shares.begin(share); block < shares.begin(share) + shares.size(share); block++) {
                const int i0 = block * BLOCK_M, k = terms.begin(t);
                const Cut tiles(I - i0 < BLOCK_M ? I - i0 : BLOCK_M, MR);
                for (int p = 0; p < groups.size(group); p++)
                    for (int i = 0; i < tiles.pieces; i++) {
                        const Term<ALONG_K> term = {packed + ((size_t)block * N + k) * BLOCK_M + tiles.begin(i), (size_t)BLOCK_M,
                                                    b + ((size_t)p * N + k) * NR};
                        const int n = (first + p) * NR, end = n + NR < O ? n + NR : O;
                        Micro<ALONG_K>::calls[tiles.size(i) - 1](1, &term, terms.size(t), NR, rows + i0 + tiles.begin(i), n, end,
                                                                add || t > 0);
                    }
            }
    });
}

// dw += x^T dy. A small dw with many samples is summed in stretches of SPLIT samples, then these in order.
void linear_wgrad(const float* dy, const float* x, float* dw, int N, int I, int O) {
    if (O == 1) {  // x's rows, weighted by dy
        float* sum = scratch_take(I);
        dense_few(dy, x, nullptr, sum, 1, N, I, {NONE, 0});
        return for_vectors(I, [=](size_t i, auto lanes) { lanes.store(dw + i, lanes.load(dw + i) + lanes.load(sum + i)); });
    }
    const Cut stretches(N, (size_t)I * O < FEW_PARTS * BLOCK_M * NR ? SPLIT : N);
    if (stretches.pieces == 1) return wgrad(dy, x, dw, N, I, O, true);
    const size_t size = (size_t)I * O;
    float* sums = scratch_take(size * stretches.pieces);
    for_parts(stretches.pieces, [&](int s) {
        const size_t n = stretches.begin(s);
        wgrad(dy + n * O, x + n * I, sums + s * size, stretches.size(s), I, O, false);
    });
    for_blocks(size, BLOCK, [=](size_t begin, size_t end) {
        for_vectors(end - begin, [=](size_t j, auto lanes) {
            vf sum = lanes.load(dw + begin + j);
            for (int s = 0; s < stretches.pieces; s++) sum = joined(sum, lanes.load(sums + s * size + begin + j));
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
