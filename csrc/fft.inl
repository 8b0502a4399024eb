// Convolution in the frequency domain. A tile of the image and the kernel become spectra (dft.inl); where the direct
// algorithm multiplies taps x pixels matrices, here is one product per plane of the spectrum: 121 for a 7x7 tile and a
// 5x5 kernel, where the direct one has 29^2 = 841 (or 1225 with the padding's zeros).
//
// All three kernels are one relation, correlation, of an inner and an outer image and the kernel between them,
//
//     inner[p] = sum_e outer[p + first + e] w[e]
//
//     forward          inner = y,  outer = x,   finds inner
//     data gradient    inner = dx, outer = dy,  finds inner, with the kernel turned round
//     weight gradient  inner = dy, outer = x,   finds w
//
// With a stride s an image is taken apart in s phases, pixel s u + a being pixel u of phase a. Each phase of x meets its own
// taps, and y sums over phases: they are further channels of x. So nothing is multiplied by inserted zeros.
//
// Cyclic and plain correlation agree on a tile as long as no wanted pixel reaches round the cycle to another one:
// length >= tile + taps - 1 (overlap-save, Stockham 1966); a single tile has zeros around it, and less will do.
// Sources: Mathieu, Henaff & LeCun 2014, arXiv:1312.5851; Zlateski et al. 2018, arXiv:1809.07851 (Gauss's products).

// One direction, in phases' pixels
struct Axis {
    int kernel, stride, pad;
    bool turned;           // data gradient
    int first, taps;       // e = 0 .. taps - 1 of each phase
    int outer, inner;      // sizes
    int tile, tiles;       // of inner

    // the kernel's index of tap e of a phase; outside 0 .. kernel - 1 the phase has no such tap
    int index(int e, int phase) const { return stride * (turned ? -first - e : first + e) + phase + pad; }
    int whole() const {  // length that takes the image in one tile
        const int last = first + taps - 1, a = outer + (first < 0 ? -first : 0), b = inner + (last > 0 ? last : 0);
        return a > b ? a : b;
    }
    // Places are centred, so that foldings find both their numbers
    int inner_place(int p, int t) const { return p - t * tile - (tile - 1) / 2; }
    int tap_place(int e) const { return e - (taps - 1) / 2; }
    int outer_place(int u, int t) const { return u - first - t * tile - (tile - 1) / 2 - (taps - 1) / 2; }
    int outer_begin(int t) const { return t * tile + first > 0 ? t * tile + first : 0; }
    int outer_end(int t) const {
        const int end = t * tile + tile + first + taps - 1;
        return end < outer ? end : outer;
    }
    int inner_end(int t) const { return (t + 1) * tile < inner ? (t + 1) * tile : inner; }
};

inline int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

inline Axis make_axis(int size, int out, int kernel, int stride, int pad, bool turned) {
    const int first = floor_div(-pad, stride), last = floor_div(kernel - 1 - pad, stride), phase = (size + stride - 1) / stride;
    return {kernel, stride, pad, turned, turned ? -last : first, last - first + 1, turned ? out : phase, turned ? phase : out, 0, 0};
}

inline void cut(Axis& axis, int length) {
    axis.tile = axis.whole() <= length ? axis.inner : length - axis.taps + 1;
    axis.tiles = (axis.inner + axis.tile - 1) / axis.tile;
}

constexpr int HALVES = 4;  // half = 1, 2, 3 and length / 2
template <int L>
struct Lengths {
    static constexpr const Dft* by_half[HALVES] = {&DFT<L, 1>, &DFT<L, 2>, &DFT<L, 3>, &DFT<L, L / 2>};
};
constexpr const Dft* const* LENGTHS[] = {Lengths<8>::by_half, Lengths<9>::by_half, Lengths<10>::by_half, Lengths<12>::by_half};
constexpr int MOST_TAPS = 7;  // per phase; a tile of the shortest length still has two pixels

// The transforms of a length for squares that reach `half` from their centre
inline const Dft& transforms(int length, int half) {
    int l = 0;
    while (LENGTHS[l][0]->length != length) l++;
    return *LENGTHS[l][half <= 3 ? half - (half > 0) : 3];
}

// An image (N, height, width, channels) and its phases; channels of a spectrum are padded to whole vectors per phase
struct Image {
    int height, width, channels, sh, sw;

    int padded() const { return (channels + WIDTH - 1) / WIDTH * WIDTH; }
    int depth() const { return sh * sw * padded(); }
    size_t ld() const { return depth() / 16 % 2 ? depth() : depth() + 16; }  // an odd number of cache lines: all sets are used
    size_t pixel(int n, int y, int x) const { return (((size_t)n * height + y) * width + x) * channels; }
};

struct Plan {
    Axis h, w;
    int length;
    Image outer, inner;

    int planes() const { return count_planes(length); }
    int tiles() const { return h.tiles * w.tiles; }
    size_t spectrum(const Image& image) const { return planes() * image.ld(); }  // numbers of a tile
    const Dft& taps() const { return transforms(length, (h.taps > w.taps ? h.taps : w.taps) / 2); }
    const Dft& inners() const { return transforms(length, (h.tile > w.tile ? h.tile : w.tile) / 2); }
    const Dft& outers() const {  // one tile may have less to read than a cycle
        const int begin_h = h.outer_place(h.outer_begin(0), 0), begin_w = w.outer_place(w.outer_begin(0), 0);
        const int end_h = h.outer_place(h.outer_end(0), 0), end_w = w.outer_place(w.outer_end(0), 0);
        const bool small = tiles() == 1 && begin_h >= -3 && begin_w >= -3 && end_h <= 4 && end_w <= 4;
        return transforms(length, small ? 3 : length / 2);
    }
};

// The length with the fewest products
inline Plan make_plan(const ConvShape& s, bool turned) {
    Plan best = {make_axis(s.H, s.P, s.KH, s.sh, s.top, turned), make_axis(s.W, s.Q, s.KW, s.sw, s.left, turned), 0, {}, {}};
    const Image x = {s.H, s.W, s.I, s.sh, s.sw}, y = {s.P, s.Q, s.O, 1, 1};
    best.outer = turned ? y : x;
    best.inner = turned ? x : y;
    size_t least = 0;
    for (const Dft* const* length : LENGTHS) {
        Plan plan = best;
        plan.length = length[0]->length;
        cut(plan.h, plan.length);
        cut(plan.w, plan.length);
        const size_t products = (size_t)plan.planes() * plan.tiles();
        if (least == 0 || products < least) {
            least = products;
            best = plan;
        }
    }
    return best;
}

inline bool fft_takes(const ConvShape& s) {
    const Axis h = make_axis(s.H, s.P, s.KH, s.sh, s.top, false), w = make_axis(s.W, s.Q, s.KW, s.sw, s.left, false);
    return s.sh <= 2 && s.sw <= 2 && h.taps <= MOST_TAPS && w.taps <= MOST_TAPS;
}

// Spectra of some tiles, plane by plane, so that a product finds its matrices in one piece: plane f of channel c of tile r
// is at  at[f plane + r ld + c].
struct Spectra {
    float* at;
    size_t ld, plane;
};

inline Spectra take_spectra(const Plan& plan, const Image& image, int tiles) {
    const size_t ld = image.ld(), plane = tiles % 2 ? tiles * ld : tiles * ld + 16;  // also an odd number of lines
    return {scratch_take(plan.planes() * plane), ld, plane};
}

struct Tile {
    int n, th, tw;
    Tile(const Plan& plan, int row) : n(row / plan.tiles()), th(row % plan.tiles() / plan.w.tiles), tw(row % plan.w.tiles) {}
};

inline int wrap(int place, int side) { return place < 0 ? place + side : place; }

// The pixels of a tile in one phase: where they are in the image, and their place in the square
struct Pixels {
    int count;
    size_t* at;
    int* place;
};

inline Pixels pixels_of(const Plan& plan, bool outer, const Tile& t, int phase, int side) {
    const Axis &h = plan.h, &w = plan.w;
    const Image& image = outer ? plan.outer : plan.inner;
    const int y0 = outer ? h.outer_begin(t.th) : t.th * h.tile, y1 = outer ? h.outer_end(t.th) : h.inner_end(t.th);
    const int x0 = outer ? w.outer_begin(t.tw) : t.tw * w.tile, x1 = outer ? w.outer_end(t.tw) : w.inner_end(t.tw);
    const int a = phase / image.sw, b = phase % image.sw;
    Pixels p = {0, (size_t*)scratch_take(2 * side * side), (int*)scratch_take(side * side)};
    for (int y = y0; y < y1 && y * image.sh + a < image.height; y++)
        for (int x = x0; x < x1 && x * image.sw + b < image.width; x++) {
            const int row = outer ? h.outer_place(y, t.th) : h.inner_place(y, t.th);
            const int column = outer ? w.outer_place(x, t.tw) : w.inner_place(x, t.tw);
            p.at[p.count] = image.pixel(t.n, y * image.sh + a, x * image.sw + b);
            p.place[p.count++] = side * wrap(row, side) + wrap(column, side);
        }
    return p;
}

// Planes lie far apart, which no hardware foresees: asks for the line of every plane that comes after the vector at `at`.
template <int write>
inline void fetch_next_lines(const Plan& plan, const Spectra& spectra, const float* at) {
    if (((size_t)at / sizeof(float)) % 16 != 0) return;
    for (int f = 0; f < plan.planes(); f++) __builtin_prefetch(at + f * spectra.plane + 16, write);
}

// Spectra of tiles [r0, r1). The outer image's tiles overlap; the inner one's do not.
inline void transform_tiles(const Plan& plan, bool outer, Side side, const float* from, int r0, int r1, const Spectra& to) {
    const Image& image = outer ? plan.outer : plan.inner;
    const Dft& dft = outer ? plan.outers() : plan.inners();
    const int squares = dft.side * dft.side;
    const size_t ld = dft.row_numbers();
    for_parts(r1 - r0, [&](int part) {
        const Tile t(plan, r0 + part);
        vf* square = (vf*)scratch_take((size_t)squares * WIDTH);
        float* rows = scratch_take(ld * dft.columns());
        for (int phase = 0; phase < image.sh * image.sw; phase++) {
            const Pixels pixels = pixels_of(plan, outer, t, phase, dft.side);
            for (int i = 0; i < squares; i++) square[i] = vf{};
            for_vectors(image.channels, [&](size_t c, auto lanes) {
                for (int i = 0; i < pixels.count; i++) square[pixels.place[i]] = lanes.load(from + pixels.at[i] + c);
                dft.rows(square, rows, ld);
                float* planes = to.at + part * to.ld + phase * image.padded() + c;
                fetch_next_lines<1>(plan, to, planes);
                for (int k = 0; k < dft.columns(); k++)
                    dft.column[side](k, rows + k * ld, planes + first_plane(dft.length, k) * to.plane, to.plane);
            });
        }
    });
}

constexpr int GROUP = 4 * WIDTH;  // channels of a pixel that are stored together: pixels are often a multiple of 1 KB apart

// Tiles of the inner image from their spectra, with bias and activation
inline void inverse_tiles(const Plan& plan, const Spectra& from, int r0, int r1, const float* b, Act act, float* to) {
    const Image& image = plan.inner;
    const Dft& dft = plan.inners();
    const int squares = dft.side * dft.side;
    const size_t ld = dft.row_numbers();
    for_parts(r1 - r0, [&](int part) {
        const Tile t(plan, r0 + part);
        vf* square = (vf*)scratch_take((size_t)squares * GROUP);
        float* rows = scratch_take(ld * dft.columns());
        float** out = (float**)scratch_take(2 * squares);
        for (int phase = 0; phase < image.sh * image.sw; phase++) {
            const Pixels pixels = pixels_of(plan, false, t, phase, dft.side);
            for (int i = 0; i < pixels.count; i++) out[i] = to + pixels.at[i];
            for (int c0 = 0; c0 < image.channels; c0 += GROUP) {
                const int count = image.channels - c0 < GROUP ? image.channels - c0 : GROUP;
                for (int c = 0; c < count; c += WIDTH) {
                    const float* planes = from.at + part * from.ld + phase * image.padded() + c0 + c;
                    fetch_next_lines<0>(plan, from, planes);
                    for (int k = 0; k < dft.columns(); k++)
                        dft.column_back(k, planes + first_plane(dft.length, k) * from.plane, from.plane, rows + k * ld);
                    dft.rows_back(rows, ld, square + c / WIDTH * squares);
                }
                for (int i = 0; i < pixels.count; i++)
                    for_vectors(count, [&](size_t c, auto lanes) {
                        lanes.store(out[i] + c0 + c, square[c / WIDTH * squares + pixels.place[i]]);
                    });
            }
            finish_rows(out, pixels.count, 0, image.channels, b, act);
        }
    });
}

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

inline void correlate(const Plan& plan, int N, const float* outer, const float* w, const float* ready, const float* b,
                      float* inner, Act act) {
    const float* weight_rows = ready ? nullptr : transform_weight_rows(plan, w);
    const Cut pieces = pieces_of(plan, N);
    const Spectra outer_spectra = take_spectra(plan, plan.outer, pieces.largest());
    const Spectra inner_spectra = take_spectra(plan, plan.inner, pieces.largest());
    for (int i = 0; i < pieces.pieces; i++) {
        const int r0 = pieces.begin(i), r1 = pieces.begin(i + 1);
        transform_tiles(plan, true, LEFT, outer, r0, r1, outer_spectra);
        multiply_spectra(plan, outer_spectra, weight_rows, ready, inner_spectra, r1 - r0);
        inverse_tiles(plan, inner_spectra, r0, r1, b, act, inner);
    }
}

void fft_forward(const ConvShape& s, const float* x, const float* w, const float* ready, const float* b, float* y, Act act) {
    correlate(make_plan(s, false), s.N, x, w, ready, b, y, act);
}

void fft_dgrad(const ConvShape& s, const float* dy, const float* w, const float* ready, const float* b, float* dx, Act act) {
    correlate(make_plan(s, true), s.N, dy, w, ready, b, dx, act);
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

void fft_wgrad(const ConvShape& s, const float* dy, const float* x, float* dw) {
    const Plan plan = make_plan(s, false);
    const Cut pieces = pieces_of(plan, s.N);
    const Spectra outer_spectra = take_spectra(plan, plan.outer, pieces.largest());
    const Spectra inner_spectra = take_spectra(plan, plan.inner, pieces.largest());
    for (int i = 0; i < pieces.pieces; i++) {
        const int r0 = pieces.begin(i), r1 = pieces.begin(i + 1);
        transform_tiles(plan, true, LEFT, x, r0, r1, outer_spectra);
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

constexpr Conv FFT_CONV = {{fft_ready_numbers, make_fft_ready}, fft_forward, fft_dgrad, fft_wgrad, fft_flops};
