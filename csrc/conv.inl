// Convolution on the matrix product of gemm.inl, an image never copied: per tap of the kernel, the rows of A are the pixels
// that this tap meets, found through a table of pointers. ("direct"; Dukhan 2019, arXiv:1907.02129.)
//
// Rows of C are (pixel, sample) with the sample running fastest. Where a tap falls into the padding it does so for all
// samples of a pixel, and the tap is left out: on a 7x7 map only 69 % of a padded 5x5 kernel's taps meet data.
// A data gradient of stride s falls apart in s x s phases, output pixels of equal remainder, each with its own taps, so
// that nothing is multiplied by inserted zeros.

constexpr int MOST_TERMS = 16;       // taps per call of a micro-kernel
constexpr int ROWS_PER_PART = 448;   // rows x channels of A and rows x columns of C stay in the second cache

// One sweep: C[(pixel, n)][:] = sum over taps of  source[n][from(tap, pixel)][:] B_tap
struct Sweep {
    int N, pixels, taps, K, columns;
    const int* from;  // [tap][pixel]: source pixel or -1
    const int* to;    // [pixel]: destination pixel
    const float* source;
    float* destination;
    size_t source_image, destination_image;  // numbers per sample
    Panels B;                                // of tap t from row t * K
};

inline bool meets(const Sweep& s, int tap, int row0, int rows) {
    for (int pixel = row0 / s.N; pixel <= (row0 + rows - 1) / s.N; pixel++)
        if (s.from[tap * s.pixels + pixel] >= 0) return true;
    return false;
}

// Where rows [row0, row0 + rows) come from, tap by tap, and where they go
inline void point(const Sweep& s, int row0, int rows, const float* zeros, const float** in, float** out) {
    for (int r = 0; r < rows; r++) {
        const int pixel = (row0 + r) / s.N, n = (row0 + r) % s.N;
        out[r] = s.destination + n * s.destination_image + (size_t)s.to[pixel] * s.columns;
        for (int t = 0; t < s.taps; t++) {
            const int from = s.from[t * s.pixels + pixel];
            in[t * rows + r] = from < 0 ? zeros : s.source + n * s.source_image + (size_t)from * s.K;
        }
    }
}

// Rows [row0, row0 + rows) times columns [n0, n1); a tile of rows stays within a pixel where the batch is large.
inline void sweep_part(const Sweep& s, int row0, int rows, int n0, int n1, const float* zeros, const float* b, Act act) {
    const float** in = (const float**)scratch_take(2 * (size_t)s.taps * rows);
    float** out = (float**)scratch_take(2 * rows);
    point(s, row0, rows, zeros, in, out);
    const int group = rows % s.N == 0 && s.N >= MR ? s.N : rows;
    const Cut tiles(group, MR), pieces(s.K, KC);
    const int tile_count = rows / group * tiles.pieces;
    bool* touched = (bool*)scratch_take(tile_count / 4 + 1);
    for (int i = 0; i < tile_count; i++) touched[i] = false;
    const int per_call = KC / s.K < 1 ? 1 : KC / s.K > MOST_TERMS ? MOST_TERMS : KC / s.K;
    for (int t0 = 0; t0 < s.taps; t0 += per_call) {
        const int t1 = t0 + per_call < s.taps ? t0 + per_call : s.taps;
        for (int piece = 0; piece < pieces.pieces; piece++)
            for (int n = n0; n < n1; n += NR)
                for (int i = 0; i < tile_count; i++) {
                    const int r = i / tiles.pieces * group + tiles.begin(i % tiles.pieces);
                    const int size = tiles.size(i % tiles.pieces), k = pieces.begin(piece);
                    Term<ALONG_M> terms[MOST_TERMS];
                    int count = 0;
                    for (int t = t0; t < t1; t++)
                        if (meets(s, t, row0 + r, size)) terms[count++] = {in + t * rows + r, (size_t)k, s.B.from(t * s.K + k, n)};
                    if (count)
                        Micro<ALONG_M>::calls[size - 1](count, terms, pieces.size(piece), s.B.ld, out + r, n, n1,
                                                       touched[i] || piece > 0);
                    if (count && piece + 1 == pieces.pieces && n + NR >= n1) touched[i] = true;
                }
    }
    for (int i = 0; i < tile_count; i++)  // pixels that no tap meets
        if (!touched[i]) {
            const int r = i / tiles.pieces * group + tiles.begin(i % tiles.pieces);
            for (int j = r; j < r + tiles.size(i % tiles.pieces); j++)
                for_vectors(n1 - n0, [=](size_t c, auto lanes) { lanes.store(out[j] + n0 + c, vf{}); });
        }
    finish_rows(out, rows, n0, n1, b, act);
}

inline void sweep(const Sweep& s, const float* b, Act act) {
    const int per_block = s.N >= MR ? (ROWS_PER_PART + s.N - 1) / s.N : ROWS_PER_PART;  // pixels, or rows
    const Cut blocks(s.N >= MR ? s.pixels : s.pixels * s.N, per_block);
    const int unit = s.N >= MR ? s.N : 1;
    const int panels = (s.columns + NR - 1) / NR, cuts = blocks.pieces < FEW_PARTS ? panels : 1;
    float* zeros = scratch_take(s.K);
    for (int k = 0; k < s.K; k++) zeros[k] = 0;
    for_parts(blocks.pieces * cuts, [&](int part) {
        const int block = part / cuts, cut = part % cuts, n1 = (cut + 1) * NR;
        sweep_part(s, blocks.begin(block) * unit, blocks.size(block) * unit, cut * NR,
                   cuts == 1 || n1 > s.columns ? s.columns : n1, zeros, b, act);
    });
}

// Along one axis: the source index of an output index at tap i, or -1
inline int forward_from(int p, int i, int stride, int before, int size) {
    const int h = p * stride + i - before;
    return h >= 0 && h < size ? h : -1;
}
inline int backward_from(int h, int i, int stride, int before, int size) {
    const int p = h + before - i;
    return p >= 0 && p % stride == 0 && p / stride < size ? p / stride : -1;
}

constexpr ReadyImage IMAGE_AS_IT_IS = {[](const ConvShape&) -> size_t { return 0; }, nullptr};

// w's panels: taps one after the other, for the data gradient phase by phase and turned over
inline size_t ready_numbers(const ConvShape& s, Pass pass) {
    const int K = pass == FORWARD ? s.I : s.O, columns = pass == FORWARD ? s.O : s.I;
    return (size_t)(columns + NR - 1) / NR * NR * s.KH * s.KW * K;
}

// The kernel's taps phase by phase: of equal (i mod sh, j mod sw)
inline int* taps_by_phase(const ConvShape& s) {
    int *order = (int*)scratch_take(s.KH * s.KW), count = 0;
    for (int a = 0; a < s.sh; a++)
        for (int c = 0; c < s.sw; c++)
            for (int i = a; i < s.KH; i += s.sh)
                for (int j = c; j < s.KW; j += s.sw) order[count++] = i * s.KW + j;
    return order;
}

void make_ready(const ConvShape& s, Pass pass, const float* w, float* ready) {
    const int taps = s.KH * s.KW, K = pass == FORWARD ? s.I : s.O, columns = pass == FORWARD ? s.O : s.I;
    const int* order = taps_by_phase(s);
    for_parts((columns + NR - 1) / NR * taps, [&](int part) {
        const int n = part / taps * NR, t = part % taps;
        float* to = ready + (size_t)part * K * NR;
        if (pass == FORWARD)
            pack(w + (size_t)t * s.I * s.O, s.O, s.I, s.O, n, to);
        else
            pack_transposed(w + (size_t)order[t] * s.I * s.O, s.O, s.O, s.I, n, to);
    });
}

inline const float* made_ready(const ConvShape& s, Pass pass, const float* w) {
    float* ready = scratch_take(ready_numbers(s, pass));
    make_ready(s, pass, w, ready);
    return ready;
}

void direct_forward(const ConvShape& s, Given x, Given w, const float* b, float* y, Act act) {
    const int taps = s.KH * s.KW, pixels = s.P * s.Q;
    int* from = (int*)scratch_take((size_t)taps * pixels);
    int* to = (int*)scratch_take(pixels);
    for (int p = 0; p < s.P; p++)
        for (int q = 0; q < s.Q; q++) {
            to[p * s.Q + q] = p * s.Q + q;
            for (int i = 0; i < s.KH; i++)
                for (int j = 0; j < s.KW; j++) {
                    const int h = forward_from(p, i, s.sh, s.top, s.H), v = forward_from(q, j, s.sw, s.left, s.W);
                    from[(i * s.KW + j) * pixels + p * s.Q + q] = h < 0 || v < 0 ? -1 : h * s.W + v;
                }
        }
    Panels B = {w.array, (size_t)NR, (size_t)s.O};
    if (w.ready || s.N * pixels >= ROWS_PER_PART)  // else B is read too seldom to be worth a copy
        B = {w.ready ? w.ready : made_ready(s, FORWARD, w.array), (size_t)taps * s.I * NR, (size_t)NR};
    sweep({s.N, pixels, taps, s.I, s.O, from, to, x.array, y, (size_t)s.H * s.W * s.I, (size_t)pixels * s.O, B}, b, act);
}

// A sweep of few rows, whose B_tap is w_tap (columns, K) turned over: dot products, w as it lies.
inline void sweep_few(const Sweep& s, const float* const* w, const float* b, Act act) {
    const int rows = s.pixels * s.N;
    float* zeros = scratch_take(s.K);
    for (int k = 0; k < s.K; k++) zeros[k] = 0;
    const float** in = (const float**)scratch_take(2 * (size_t)s.taps * rows);
    float** out = (float**)scratch_take(2 * rows);
    point(s, 0, rows, zeros, in, out);
    const Cut tiles(rows, DOT_M), blocks(s.columns, DOT_N);
    for_parts(blocks.pieces, [&](int part) {
        const int n0 = blocks.begin(part), size = blocks.size(part);
        Dot* terms = (Dot*)scratch_take(sizeof(Dot) / sizeof(float) * s.taps);
        for (int i = 0; i < tiles.pieces; i++) {
            const int r = tiles.begin(i);
            int count = 0;
            for (int t = 0; t < s.taps; t++)
                if (meets(s, t, r, tiles.size(i))) terms[count++] = {in + t * rows + r, w[t] + (size_t)n0 * s.K};
            DOTS[tiles.size(i) - 1][size - 1](count, terms, s.K, s.K, out + r, n0);
        }
        finish_rows(out, rows, n0, n0 + size, b, act);
    });
}

constexpr int FEW_ROWS = 256;  // with fewer, turning w over costs more than it gains

void direct_dgrad(const ConvShape& s, const float* dy, Given w, const float* b, float* dx, Act act) {
    const bool few = !w.ready && s.N * s.P * s.Q < FEW_ROWS;
    const float* packed = few || w.ready ? w.ready : made_ready(s, DGRAD, w.array);
    const int* order = taps_by_phase(s);
    const float** as_is = (const float**)scratch_take(2 * s.KH * s.KW);
    for (int t = 0; t < s.KH * s.KW; t++) as_is[t] = w.array + (size_t)order[t] * s.I * s.O;
    int done = 0;
    for (int a = 0; a < s.sh; a++)
        for (int c = 0; c < s.sw; c++) {
            const int taps = ((s.KH - a + s.sh - 1) / s.sh) * ((s.KW - c + s.sw - 1) / s.sw);
            int* to = (int*)scratch_take((size_t)(s.H / s.sh + 1) * (s.W / s.sw + 1));
            int pixels = 0;
            for (int h = 0; h < s.H; h++)
                for (int v = 0; v < s.W; v++)
                    if ((h + s.top) % s.sh == a && (v + s.left) % s.sw == c) to[pixels++] = h * s.W + v;
            int* from = (int*)scratch_take((size_t)taps * pixels + 1);
            for (int t = 0; t < taps; t++)
                for (int k = 0; k < pixels; k++) {
                    const int i = order[done + t] / s.KW, j = order[done + t] % s.KW;
                    const int p = backward_from(to[k] / s.W, i, s.sh, s.top, s.P);
                    const int q = backward_from(to[k] % s.W, j, s.sw, s.left, s.Q);
                    from[t * pixels + k] = p < 0 || q < 0 ? -1 : p * s.Q + q;
                }
            const Panels B = {few ? nullptr : packed + (size_t)done * s.O * NR, (size_t)s.KH * s.KW * s.O * NR, (size_t)NR};
            const Sweep phase = {s.N, pixels, taps, s.O, s.I, from, to, dy, dx, (size_t)s.P * s.Q * s.O,
                                 (size_t)s.H * s.W * s.I, B};
            if (pixels && few)
                sweep_few(phase, as_is + done, b, act);
            else if (pixels)
                sweep(phase, b, act);
            done += taps;
        }
}

// dw_tap += x_tap^T dy: the terms of the sum are (pixel, sample); per row of pixels, those that the tap meets are a run.
void direct_wgrad(const ConvShape& s, const float* dy, Given x, float* dw) {
    const int terms = s.P * s.Q * s.N, panels = (s.O + NR - 1) / NR, taps = s.KH * s.KW;
    float* packed = scratch_take((size_t)panels * terms * NR);  // dy in the order of the terms
    for_parts(panels * s.P * s.Q, [&](int part) {
        const int p = part / (s.P * s.Q), pixel = part % (s.P * s.Q);
        pack(dy + (size_t)pixel * s.O, (size_t)s.P * s.Q * s.O, s.N, s.O, p * NR,
             packed + ((size_t)p * terms + (size_t)pixel * s.N) * NR);
    });
    const Cut cuts(s.I, 4 * BLOCK_M);
    for_parts(taps * cuts.pieces, [&](int part) {
        const int tap = part / cuts.pieces, i = tap / s.KW, j = tap % s.KW, i0 = cuts.begin(part % cuts.pieces);
        const int channels = cuts.size(part % cuts.pieces), blocks = (channels + BLOCK_M - 1) / BLOCK_M;
        int q0 = 0, q1 = s.Q, p0 = 0, p1 = s.P;
        while (p0 < p1 && forward_from(p0, i, s.sh, s.top, s.H) < 0) p0++;
        while (p1 > p0 && forward_from(p1 - 1, i, s.sh, s.top, s.H) < 0) p1--;
        while (q0 < q1 && forward_from(q0, j, s.sw, s.left, s.W) < 0) q0++;
        while (q1 > q0 && forward_from(q1 - 1, j, s.sw, s.left, s.W) < 0) q1--;
        const int run = (q1 - q0) * s.N;
        if (run == 0 || p0 >= p1) return;
        float** out = (float**)scratch_take(2 * channels);
        for (int c = 0; c < channels; c++) out[c] = dw + ((size_t)tap * s.I + i0 + c) * s.O;
        const Cut pieces(run, TERMS);
        float* a = scratch_take((size_t)blocks * pieces.largest() * BLOCK_M);
        for (int p = p0; p < p1; p++)
            for (int piece = 0; piece < pieces.pieces; piece++) {
                const int first = pieces.begin(piece), K = pieces.size(piece), h = p * s.sh + i - s.top;
                for (int k = 0; k < K; k++) {
                    const int v = (q0 + (first + k) / s.N) * s.sw + j - s.left, n = (first + k) % s.N;
                    const float* pixel = x.array + (((size_t)n * s.H + h) * s.W + v) * s.I + i0;
                    for (int block = 0; block < blocks; block++)
                        pack_block(pixel + block * BLOCK_M, 0, 1, block + 1 < blocks ? BLOCK_M : channels - block * BLOCK_M,
                                   a + ((size_t)block * K + k) * BLOCK_M);
                }
                const float* b = packed + (((size_t)p * s.Q + q0) * s.N + first) * NR;
                for (int panel = 0; panel < panels; panel++)
                    for (int block = 0; block < blocks; block++) {
                        const Cut tiles(block + 1 < blocks ? BLOCK_M : channels - block * BLOCK_M, MR);
                        for (int t = 0; t < tiles.pieces; t++) {
                            const Term<ALONG_K> term = {a + (size_t)block * K * BLOCK_M + tiles.begin(t), (size_t)BLOCK_M,
                                                        b + (size_t)panel * terms * NR};
                            Micro<ALONG_K>::calls[tiles.size(t) - 1](1, &term, K, NR, out + block * BLOCK_M + tiles.begin(t),
                                                                    panel * NR, s.O, true);
                        }
                    }
            }
    });
}

// Pairs of an output pixel and a tap that meet data, of all samples
inline double touched_taps(const ConvShape& s) {
    int rows = 0, columns = 0;
    for (int p = 0; p < s.P; p++)
        for (int i = 0; i < s.KH; i++) rows += forward_from(p, i, s.sh, s.top, s.H) >= 0;
    for (int q = 0; q < s.Q; q++)
        for (int j = 0; j < s.KW; j++) columns += forward_from(q, j, s.sw, s.left, s.W) >= 0;
    return (double)s.N * rows * columns;
}

// Of a batch below MR a tile spans several pixels and so multiplies some zeros as well, which is not counted.
Flops direct_flops(const ConvShape& s, Pass) { return {2 * touched_taps(s) * s.I * s.O, 0}; }

constexpr Conv DIRECT_CONV = {{ready_numbers, make_ready}, IMAGE_AS_IT_IS, direct_forward, direct_dgrad, direct_wgrad, direct_flops};
