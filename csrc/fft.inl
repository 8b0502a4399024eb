// The three convolution kernels in the frequency domain: the kernel's spectrum, and products of spectra plane by plane.
// fft_plan.inl says why, spectra.inl makes the images' spectra.

// The taps of one phase that the kernel has: their number among the kernel's, and their place in the square
struct Taps {
    int count;
    int *tap, *place;
};

inline Taps taps_of(const Plan& plan, int phase, int phases_w, int side) {
    const Axis &h = plan.h, &v = plan.w;
    Taps taps = {0, (int*)scratch_take(h.taps * v.taps), (int*)scratch_take(h.taps * v.taps)};
    for (int e = 0; e < h.taps; e++)
        for (int g = 0; g < v.taps; g++) {
            const int y = h.index(e, phase / phases_w), x = v.index(g, phase % phases_w);
            if (y < 0 || y >= h.kernel || x < 0 || x >= v.kernel) continue;
            taps.tap[taps.count] = y * v.kernel + x;
            taps.place[taps.count++] = side * wrap(h.tap_place(e), side) + wrap(v.tap_place(g), side);
        }
    return taps;
}

// The kernel's rows transformed: those of column k, channels i of outer and n0 .. n0 + NR of inner, follow one another at
// ((panel columns + k) outer.depth + i) NV row_numbers. w (KH,KW,I,O)
inline float* transform_weight_rows(const Plan& plan, const float* w) {
    const Image &outer = plan.outer, &inner = plan.inner;
    const Dft& dft = plan.taps();
    const bool turned = plan.h.turned;  // then a vector's lanes are w's input channels, O numbers apart
    const int I = turned ? inner.channels : outer.channels, O = turned ? outer.channels : inner.channels;
    const int S = dft.side, K = outer.depth(), panels = (inner.depth() + NR - 1) / NR;
    const size_t each = NV * dft.row_numbers(), column = K * each;
    float* to = scratch_take((size_t)panels * dft.columns() * column);
    for_parts(panels * (K / WIDTH), [&](int part) {
        const int panel = part / (K / WIDTH), k0 = part % (K / WIDTH) * WIDTH;
        vf* squares = (vf*)scratch_take((size_t)WIDTH * S * S * WIDTH);
        for (int j = 0; j < NV && panel * NR + j * WIDTH < inner.depth(); j++) {
            const int n0 = panel * NR + j * WIDTH;
            const int phase = turned ? n0 / inner.padded() : k0 / outer.padded();
            const int i0 = (turned ? n0 : k0) - phase * (turned ? inner : outer).padded(), o0 = turned ? k0 : n0;
            const Taps taps = taps_of(plan, phase, turned ? inner.sw : outer.sw, S);
            const int is = I - i0 < WIDTH ? I - i0 : WIDTH, os = O - o0 < WIDTH ? O - o0 : WIDTH;
            for (int i = 0; i < WIDTH * S * S; i++) squares[i] = vf{};
            for (int t = 0; t < taps.count; t++) {
                const float* tap = w + ((size_t)taps.tap[t] * I + i0) * O + o0;
                vf* at = squares + taps.place[t];
                if (!turned) {
                    for (int i = 0; i < is; i++)
                        at[i * S * S] = os == WIDTH ? Whole{}.load(tap + (size_t)i * O) : Tail{(size_t)os}.load(tap + (size_t)i * O);
                } else if (is == WIDTH && os == WIDTH) {
                    transpose_block(tap, O, (float*)at, S * S * WIDTH);
                } else {
                    for (int i = 0; i < is; i++)
                        for (int o = 0; o < os; o++) ((float*)(at + o * S * S))[i] = tap[(size_t)i * O + o];
                }
            }
            for (int k = 0; k < WIDTH; k++)
                dft.rows(squares + k * S * S, to + panel * dft.columns() * column + (k0 + k) * each + j * dft.row_numbers(), column);
        }
    });
    return to;
}

inline float** rows_at(float* from, size_t ld, int rows) {
    float** at = (float**)scratch_take(2 * rows);
    for (int r = 0; r < rows; r++) at[r] = from + r * ld;
    return at;
}

constexpr size_t LOCAL = WIDTH == 16 ? 1 << 17 : 1 << 16;  // numbers that a part keeps in its second cache

// A panel's columns of the kernel's spectrum, made from its transformed rows, those of channels k0 .. k0 + size: channel k of
// plane f is at to[f ld + (k - k0) NR].
inline void make_planes(const Plan& plan, const float* weight_rows, int panel, int column, int k0, int size, float* to, size_t ld) {
    const Dft& dft = plan.taps();
    const int left = plan.inner.depth() - panel * NR;
    const size_t each = NV * dft.row_numbers();
    const float* rows = weight_rows + ((size_t)(panel * dft.columns() + column) * plan.outer.depth() + k0) * each;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < NR && j < left; j += WIDTH)
            dft.column[RIGHT](column, rows + i * each + j / WIDTH * dft.row_numbers(), to + i * NR + j, ld);
}

// The whole spectrum of the kernel, ready for many products: channel k of plane f of a panel at ((panel planes + f) depth + k) NR
// (For the passes of one training step it does not pay, of which at most two read the same: for the DCGAN's layers making it
// took 1.3 to 2.0 ms, and saved 0.2 to 1.2 ms a pass, 2026-11-24 on two cores of Zen 3.)
size_t fft_ready_numbers(const ConvShape& s, Pass pass) {
    const Plan plan = make_plan(s, pass == DGRAD);
    return (size_t)(plan.inner.depth() + NR - 1) / NR * NR * plan.planes() * plan.outer.depth();
}

void make_fft_ready(const ConvShape& s, Pass pass, const float* w, float* ready) {
    const Plan plan = make_plan(s, pass == DGRAD);
    const float* rows = transform_weight_rows(plan, w);
    const int K = plan.outer.depth(), columns = plan.taps().columns();
    for_parts((plan.inner.depth() + NR - 1) / NR * columns, [&](int part) {
        const int panel = part / columns, column = part % columns;
        float* to = ready + ((size_t)panel * plan.planes() + first_plane(plan.length, column)) * K * NR;
        make_planes(plan, rows, panel, column, 0, K, to, (size_t)K * NR);
    });
}

// inner's spectra = outer's spectra times the kernel's, plane by plane. A part takes a column of the spectrum and a panel
// of inner's channels; where the kernel is not ready it makes the planes that it needs itself: they never leave the cache.
inline void multiply_spectra(const Plan& plan, const Spectra& outer, const float* weight_rows, const float* ready,
                             const Spectra& inner, int M) {
    const int K = plan.outer.depth(), N = plan.inner.depth(), panels = (N + NR - 1) / NR, columns = plan.taps().columns();
    float* const* a = rows_at(outer.at, outer.ld, M);
    float* const* c = rows_at(inner.at, inner.ld, M);
    for_parts(columns * panels, [&](int part) {
        const int column = columns - 1 - part / panels, panel = part % panels, n0 = panel * NR;
        const int n1 = n0 + NR < N ? n0 + NR : N;
        const int f0 = first_plane(plan.length, column), planes = column_planes(plan.length, column);
        const Cut terms(K, ready ? KC : (int)(LOCAL / (planes * NR))), tiles(M, MR);
        const size_t ld = ready ? (size_t)K * NR : (size_t)terms.largest() * NR + NR;
        float* made = ready ? nullptr : scratch_take(planes * ld);
        for (int t = 0; t < terms.pieces; t++) {
            const int k0 = terms.begin(t), size = terms.size(t);
            if (!ready) make_planes(plan, weight_rows, panel, column, k0, size, made, ld);
            const float* b = ready ? ready + (((size_t)panel * plan.planes() + f0) * K + k0) * NR : made;
            for (int f = 0; f < planes; f++)
                for (int i = 0; i < tiles.pieces; i++) {
                    const int m = tiles.begin(i), at = (int)((f0 + f) * inner.plane);
                    const Term<ALONG_M> term = {a + m, (f0 + f) * outer.plane + k0, b + f * ld};
                    Micro<ALONG_M>::calls[tiles.size(i) - 1](1, &term, size, NR, c + m, at + n0, at + n1, t > 0);
                }
        }
    });
}

constexpr size_t MOST_SPECTRA = 1 << 22;  // numbers; more tiles than fit are taken in pieces
constexpr int FEWEST_ROWS = 64;            // but not in so small ones that the kernel's columns cost more than the products

inline Cut pieces_of(const Plan& plan, int N) {
    const int most = (int)(MOST_SPECTRA / (plan.spectrum(plan.outer) + plan.spectrum(plan.inner)));
    return {N * plan.tiles(), most > FEWEST_ROWS ? most : FEWEST_ROWS};
}

// The image's spectra, kept for more than one product where the batch is not taken in pieces
size_t fft_image_numbers(const ConvShape& s) {
    const Plan plan = make_plan(s, false);
    return pieces_of(plan, s.N).pieces > 1 ? 0 : plan.planes() * spectra_of(plan.outer, s.N * plan.tiles()).plane;
}

void make_fft_image(const ConvShape& s, const float* x, float* ready) {
    const Plan plan = make_plan(s, false);
    const int tiles = s.N * plan.tiles();
    Spectra spectra = spectra_of(plan.outer, tiles);
    spectra.at = ready;
    transform_tiles(plan, true, LEFT, x, 0, tiles, spectra);
}

// Where outer's spectra are, or are to be made
inline Spectra outer_spectra_of(const Plan& plan, Given outer, int tiles) {
    Spectra spectra = spectra_of(plan.outer, tiles);
    spectra.at = outer.ready ? (float*)outer.ready : scratch_take(plan.planes() * spectra.plane);
    return spectra;
}

inline void correlate(const Plan& plan, int N, Given outer, Given w, const float* b, float* inner, Act act) {
    const float* weight_rows = w.ready ? nullptr : transform_weight_rows(plan, w.array);
    const Cut pieces = pieces_of(plan, N);
    const Spectra outer_spectra = outer_spectra_of(plan, outer, pieces.largest());
    const Spectra inner_spectra = take_spectra(plan, plan.inner, pieces.largest());
    for (int i = 0; i < pieces.pieces; i++) {
        const int r0 = pieces.begin(i), r1 = pieces.begin(i + 1);
        if (!outer.ready) transform_tiles(plan, true, LEFT, outer.array, r0, r1, outer_spectra);
        multiply_spectra(plan, outer_spectra, weight_rows, w.ready, inner_spectra, r1 - r0);
        inverse_tiles(plan, inner_spectra, r0, r1, b, act, inner);
    }
}

void fft_forward(const ConvShape& s, Given x, Given w, const float* b, float* y, Act act) {
    correlate(make_plan(s, false), s.N, x, w, b, y, act);
}

void fft_dgrad(const ConvShape& s, const float* dy, Given w, const float* b, float* dx, Act act) {
    correlate(make_plan(s, true), s.N, {dy, nullptr}, w, b, dx, act);
}

constexpr int BLOCK_ROWS = 4 * WIDTH, BLOCK_PANELS = WIDTH == 16 ? 1 : 2;  // of dw's spectrum per part

// dw += the inverse of outer^T inner, plane by plane, for `rows` tiles. A part takes a block of dw's channels through all
// columns of the spectrum, so that dw's own spectrum never leaves the cache.
inline void weight_gradient(const Plan& plan, const Spectra& outer, const Spectra& inner, int rows, float* dw) {
    const Dft& dft = plan.taps();
    const Image &x = plan.outer, &y = plan.inner;
    const int N = y.depth(), S = dft.side;
    const Cut blocks(x.padded() / WIDTH, BLOCK_ROWS / WIDTH), panels((N + NR - 1) / NR, BLOCK_PANELS), terms(rows, KC);
    const int per_phase = blocks.pieces * panels.pieces;
    const size_t each = dft.row_numbers() * dft.columns();
    for_parts(x.sh * x.sw * per_phase, [&](int part) {
        const int phase = part / per_phase, block = part % per_phase / panels.pieces, group = part % panels.pieces;
        const int n0 = panels.begin(group) * NR, columns = panels.size(group) * NR, n1 = n0 + columns < N ? n0 + columns : N;
        const int i0 = blocks.begin(block) * WIDTH, M = blocks.size(block) * WIDTH, vectors = columns / WIDTH;
        const size_t ld = (size_t)M * columns + NR;
        float* planes = scratch_take(3 * plan.length * ld);
        float* half = scratch_take(M * vectors * each);
        float* const* c = rows_at(planes, columns, M);
        const Cut tiles(M, MR);
        for (int k = 0; k < dft.columns(); k++) {
            for (int f = 0; f < column_planes(plan.length, k); f++) {
                const size_t plane = first_plane(plan.length, k) + f;
                const float* a = outer.at + plane * outer.plane + phase * x.padded() + i0;
                const float* b = inner.at + plane * inner.plane;
                for (int t = 0; t < terms.pieces; t++)
                    for (int n = n0; n < n1; n += NR)
                        for (int m = 0; m < tiles.pieces; m++) {
                            const size_t r = terms.begin(t);
                            const Term<ALONG_K> term = {a + r * outer.ld + tiles.begin(m), outer.ld, b + r * inner.ld + n};
                            const int column = (int)(f * ld) + n - n0;
                            Micro<ALONG_K>::calls[tiles.size(m) - 1](1, &term, terms.size(t), inner.ld, c + tiles.begin(m), column,
                                                                    n1 - n < NR ? column + n1 - n : column + NR, t > 0);
                        }
            }
            for (int i = 0; i < M; i++)
                for (int j = 0; j < n1 - n0; j += WIDTH)
                    dft.column_back(k, planes + i * columns + j, ld, half + (i * vectors + j / WIDTH) * each + k * dft.row_numbers());
        }
        vf* square = (vf*)scratch_take((size_t)S * S * WIDTH);
        const Taps taps = taps_of(plan, phase, x.sw, S);
        for (int i = 0; i < M && i0 + i < x.channels; i++)
            for_vectors(n1 < y.channels ? n1 - n0 : y.channels - n0, [&](size_t j, auto lanes) {
                dft.rows_back(half + (i * vectors + j / WIDTH) * each, dft.row_numbers(), square);
                for (int t = 0; t < taps.count; t++) {
                    float* at = dw + ((size_t)taps.tap[t] * x.channels + i0 + i) * y.channels + n0 + j;
                    lanes.store(at, lanes.load(at) + square[taps.place[t]]);
                }
            });
    });
}

void fft_wgrad(const ConvShape& s, const float* dy, Given x, float* dw) {
    const Plan plan = make_plan(s, false);
    const Cut pieces = pieces_of(plan, s.N);
    const Spectra outer_spectra = outer_spectra_of(plan, x, pieces.largest());
    const Spectra inner_spectra = take_spectra(plan, plan.inner, pieces.largest());
    for (int i = 0; i < pieces.pieces; i++) {
        const int r0 = pieces.begin(i), r1 = pieces.begin(i + 1);
        if (!x.ready) transform_tiles(plan, true, LEFT, x.array, r0, r1, outer_spectra);
        transform_tiles(plan, false, RIGHT, dy, r0, r1, inner_spectra);
        weight_gradient(plan, outer_spectra, inner_spectra, r1 - r0, dw);
    }
}

// A product per plane of all tiles' channels; around it the transforms of both images, tile by tile, and of the kernel, whose
// columns are made anew for every piece of the batch (on their way back its rows too, which are then added to dw).
Flops fft_flops(const ConvShape& s, Pass pass) {
    if (!fft_takes(s)) return {-1, 0};
    const Plan plan = make_plan(s, pass == DGRAD);
    const Additions outers = plan.outers().additions, inners = plan.inners().additions, taps = plan.taps().additions;
    const double tiles = (double)s.N * plan.tiles(), K = plan.outer.depth(), N = plan.inner.depth();
    const int pieces = pieces_of(plan, s.N).pieces;
    double transforms = tiles * K * (outers.rows + outers.column[LEFT]);
    if (pass == WGRAD) {
        const double channels = plan.outer.sh * plan.outer.sw * plan.outer.channels;
        transforms += tiles * N * (inners.rows + inners.column[RIGHT]);
        transforms += pieces * N * (K * taps.column_back + channels * taps.rows_back + s.KH * s.KW * s.I);
    } else {
        transforms += tiles * N * (inners.column_back + inners.rows_back);
        transforms += K * N * (taps.rows + pieces * taps.column[RIGHT]);
    }
    return {2 * plan.planes() * tiles * K * N, transforms};
}

constexpr Conv FFT_CONV = {{fft_ready_numbers, make_fft_ready}, {fft_image_numbers, make_fft_image}, fft_forward,
                          fft_dgrad, fft_wgrad, fft_flops};
