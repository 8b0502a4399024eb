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
