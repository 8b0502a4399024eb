// Images to spectra and back, tile by tile; see fft_plan.inl for tiles, phases and places.

// Spectra of some tiles, plane by plane, so that a product finds its matrices in one piece: plane f of channel c of tile r
// is at  at[f plane + r ld + c].
struct Spectra {
    float* at;
    size_t ld, plane;
};

// Those of so many tiles, in memory that is still to be named
inline Spectra spectra_of(const Image& image, int tiles) {
    const size_t ld = image.ld();
    return {nullptr, ld, tiles % 2 ? tiles * ld : tiles * ld + 16};  // also an odd number of lines
}

inline Spectra take_spectra(const Plan& plan, const Image& image, int tiles) {
    Spectra spectra = spectra_of(image, tiles);
    spectra.at = scratch_take(plan.planes() * spectra.plane);
    return spectra;
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
