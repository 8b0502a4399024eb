// Real discrete Fourier transforms of small squares, WIDTH channels at a time.
//
// A square holds numbers at places -half .. half (or, for half = length / 2 and an even length, one place less) of a cycle of
// `length` in both directions, and zeros elsewhere. Place p is at index p mod side, side = min(2 half + 1, length).
//
//     X[k][m] = sum_{u,v} x[u][v] e^{-2 pi i (m u + k v) / length}
//
// x is real, so X[-k][-m] is the conjugate of X[k][m] and only the columns k = 0 .. length / 2 are made; the same holds within
// column 0 and, for an even length, column length / 2. First the rows (all k of one u), then the columns (all m of one k).
// A sum of +p and -p turns two products by a cosine into one, their difference does so for the sines.
//
// X is stored as planes of real numbers, such that a product of two spectra is one product per plane: a complex number takes
// three planes (Gauss's three multiplications instead of four), a real one a single plane.
//
//     x conj(w), x = a + bi, w = c + di:   t0 = (a + b) c,   t1 = b (d - c),   t2 = a (c + d),   x conj(w) = t0 + t1 + (t0 - t2) i

constexpr double PI = 3.141592653589793;

// cos(2 pi n / d), 0 <= n <= d: by symmetry from an angle of at most pi / 2, so that equal values are equal in bits
constexpr double cosine(int n, int d) {
    if (2 * n > d) n = d - n;
    if (4 * n == d) return 0;
    if (4 * n > d) return -cosine(d - 2 * n, 2 * d);
    const double square = 2 * PI * n / d * (2 * PI * n / d);
    double term = 1, sum = 1;
    for (int i = 1; i < 12; i++) {
        term *= -square / ((2 * i - 1) * (2 * i));
        sum += term;
    }
    return sum;
}

template <int L>
struct Roots {
    float cos[L] = {}, sin[L] = {};
    constexpr Roots() {
        for (int n = 0; n < L; n++) {
            cos[n] = (float)cosine(n, L);
            sin[n] = (float)cosine((4 * n + 3 * L) % (4 * L), 4 * L);
        }
    }
};
template <int L>
constexpr Roots<L> ROOTS;

// sum += factor x, where the factor is known to the compiler
inline void add_times(vf& sum, float factor, vf x) {
    if (factor == 1)
        sum += x;
    else if (factor == -1)
        sum -= x;
    else if (factor != 0)
        sum = mul_add(all(factor), x, sum);
}

// What the two sums below take: x[0], x[j] + x[-j], x[j] - x[-j], and x[L / 2], which is its own mirror image
template <int L, int HALF>
struct Folded {
    static constexpr int PAIRS = HALF < (L - 1) / 2 ? HALF : (L - 1) / 2;
    static constexpr bool MIDDLE = 2 * HALF == L;
    vf zero, even[PAIRS + 1], odd[PAIRS + 1], middle;
};

template <int L, int HALF>
constexpr int SIDE = 2 * HALF + 1 < L ? 2 * HALF + 1 : L;

template <int L, int HALF>
inline Folded<L, HALF> fold(const vf* x, int step) {
    using F = Folded<L, HALF>;
    F f;
    f.zero = x[0];
#pragma GCC unroll 16
    for (int j = 1; j <= F::PAIRS; j++) {
        const vf a = x[j * step], b = x[(SIDE<L, HALF> - j) * step];
        f.even[j] = a + b;
        f.odd[j] = a - b;
    }
    if (F::MIDDLE) f.middle = x[L / 2 * step];
    return f;
}

// sum_j cos(2 pi j k / L) x[j]
template <int L, int HALF>
inline vf cosines(const Folded<L, HALF>& f, int k) {
    vf sum = f.zero;
#pragma GCC unroll 16
    for (int j = 1; j <= f.PAIRS; j++) add_times(sum, ROOTS<L>.cos[j * k % L], f.even[j]);
    if (f.MIDDLE) sum = k % 2 ? sum - f.middle : sum + f.middle;
    return sum;
}

// sum_j sin(2 pi j k / L) x[j]
template <int L, int HALF>
inline vf sines(const Folded<L, HALF>& f, int k) {
    vf sum = {};
#pragma GCC unroll 16
    for (int j = 1; j <= f.PAIRS; j++) add_times(sum, ROOTS<L>.sin[j * k % L], f.odd[j]);
    return sum;
}

template <int L>
constexpr bool is_edge(int k) {  // a column whose rows' transforms are real numbers
    return k == 0 || 2 * k == L;
}
template <int L>
constexpr int EDGE_PLANES = (3 * L - 1) / 2;

constexpr int column_planes(int L, int k) { return k == 0 || 2 * k == L ? (3 * L - 1) / 2 : 3 * L; }
constexpr int first_plane(int L, int k) { return k == 0 ? 0 : (3 * L - 1) / 2 + (k - 1) * 3 * L; }
constexpr int count_planes(int L) { return first_plane(L, L / 2) + column_planes(L, L / 2); }

enum Side { LEFT, RIGHT };  // of the product x conj(w)

template <Side side>
inline void store_planes(float* to, size_t ld, vf re, vf im) {
    Whole{}.store(to, side == LEFT ? re + im : re);
    Whole{}.store(to + ld, side == LEFT ? im : im - re);
    Whole{}.store(to + 2 * ld, side == LEFT ? re : re + im);
}

inline void load_planes(const float* from, size_t ld, vf& re, vf& im) {
    const vf t0 = Whole{}.load(from);
    re = t0 + Whole{}.load(from + ld);
    im = t0 - Whole{}.load(from + 2 * ld);
}

// The rows of a square: k's numbers for row u at rows[k ld], pairs (re, im)
template <int L, int HALF>
void rows_forward(const vf* square, float* rows, size_t ld) {
    constexpr int S = SIDE<L, HALF>;
    for (int u = 0; u < S; u++) {
        const auto f = fold<L, HALF>(square + u * S, 1);
#pragma GCC unroll 16
        for (int k = 0; k <= L / 2; k++) {
            Whole{}.store(rows + k * ld + 2 * u * WIDTH, cosines(f, k));
            Whole{}.store(rows + k * ld + (2 * u + 1) * WIDTH, is_edge<L>(k) ? vf{} : -sines(f, k));
        }
    }
}

// Complex transform of x = re + i im, at places -IN .. IN, for places -OUT .. OUT. The inverse is the same with re and im
// changed over in both x and X.
template <int L, int IN, int OUT, class Store>
inline void transform(const vf* re, const vf* im, int step, Store store) {
    const auto a = fold<L, IN>(re, step), b = fold<L, IN>(im, step);
    store(0, cosines(a, 0), cosines(b, 0));
#pragma GCC unroll 16
    for (int m = 1; m <= (OUT < (L - 1) / 2 ? OUT : (L - 1) / 2); m++) {
        const vf ac = cosines(a, m), bs = sines(b, m), bc = cosines(b, m), as = sines(a, m);
        store(m, ac + bs, bc - as);
        store(SIDE<L, OUT> - m, ac - bs, bc + as);
    }
    if (2 * OUT == L) store(L / 2, cosines(a, L / 2), cosines(b, L / 2));
}

// Column k: its rows' numbers to planes
template <int L, int HALF, Side side>
void column_forward(int k, const float* rows, float* planes, size_t ld) {
    const vf* x = (const vf*)rows;
    if (!is_edge<L>(k)) {
        transform<L, HALF, L / 2>(x, x + 1, 2, [=](int m, vf re, vf im) { store_planes<side>(planes + 3 * m * ld, ld, re, im); });
        return;
    }
    const auto f = fold<L, HALF>(x, 2);
    Whole{}.store(planes, cosines(f, 0));
#pragma GCC unroll 16
    for (int m = 1; m <= (L - 1) / 2; m++) store_planes<side>(planes + (3 * m - 2) * ld, ld, cosines(f, m), -sines(f, m));
    if (L % 2 == 0) Whole{}.store(planes + (EDGE_PLANES<L> - 1) * ld, cosines(f, L / 2));
}

// The inverse of a spectrum that belongs to real numbers, from the half of it that is stored, times L
template <int L, int OUT, class Store>
inline void transform_to_real(const vf* re, const vf* im, int step, Store store) {
    Folded<L, L / 2> f;
    f.zero = re[0];
#pragma GCC unroll 16
    for (int k = 1; k <= f.PAIRS; k++) {
        f.even[k] = re[k * step] + re[k * step];
        f.odd[k] = im[k * step] + im[k * step];
    }
    if (f.MIDDLE) f.middle = re[L / 2 * step];
    store(0, cosines(f, 0));
#pragma GCC unroll 16
    for (int p = 1; p <= (OUT < (L - 1) / 2 ? OUT : (L - 1) / 2); p++) {
        const vf c = cosines(f, p), s = sines(f, p);
        store(p, c - s);
        store(SIDE<L, OUT> - p, c + s);
    }
    if (2 * OUT == L) store(L / 2, cosines(f, L / 2));
}

// The inverses of the two steps. A factor of L^2 is left out by rows_inverse.
template <int L, int HALF>
void column_inverse(int k, const float* planes, size_t ld, float* rows) {
    vf re[L], im[L];
    vf* x = (vf*)rows;
    if (!is_edge<L>(k)) {
#pragma GCC unroll 16
        for (int m = 0; m < L; m++) load_planes(planes + 3 * m * ld, ld, re[m], im[m]);
        transform<L, L / 2, HALF>(im, re, 1, [=](int u, vf im, vf re) { x[2 * u] = re, x[2 * u + 1] = im; });
        return;
    }
    re[0] = Whole{}.load(planes);
#pragma GCC unroll 16
    for (int m = 1; m <= (L - 1) / 2; m++) load_planes(planes + (3 * m - 2) * ld, ld, re[m], im[m]);
    if (L % 2 == 0) re[L / 2] = Whole{}.load(planes + (EDGE_PLANES<L> - 1) * ld);
    transform_to_real<L, HALF>(re, im, 1, [=](int u, vf y) { x[2 * u] = y; });
}

template <int L, int HALF>
void rows_inverse(const float* rows, size_t ld, vf* square) {
    constexpr int S = SIDE<L, HALF>;
    const vf scale = all(1.0f / (L * L));
    const int step = (int)(ld / WIDTH);
    for (int u = 0; u < S; u++) {
        const vf* x = (const vf*)rows + 2 * u;
        transform_to_real<L, HALF>(x, x + 1, step, [=](int v, vf y) { square[u * S + v] = y * scale; });
    }
}

// Additions and multiplications of the steps above as they are written, for one channel and all columns. A sign is none.
struct Additions {
    int rows, column[2], column_back, rows_back;  // `column` by Side
};

constexpr int additions_of(float factor) { return factor == 0 ? 0 : factor == 1 || factor == -1 ? 1 : 2; }  // of add_times

template <int L, int HALF>
constexpr int sum_additions(const float (&roots)[L], int k) {
    int n = 0;
    for (int j = 1; j <= Folded<L, HALF>::PAIRS; j++) n += additions_of(roots[j * k % L]);
    return n;
}
template <int L, int HALF>
constexpr int cosines_additions(int k) {
    return sum_additions<L, HALF>(ROOTS<L>.cos, k) + Folded<L, HALF>::MIDDLE;
}
template <int L, int HALF>
constexpr int sines_additions(int k) {
    return sum_additions<L, HALF>(ROOTS<L>.sin, k);
}

// `transform`, and with REAL those of transform_to_real: the foldings, the sums, and what joins them
template <int L, int IN, int OUT, bool REAL>
constexpr int transform_additions() {
    const int numbers = REAL ? 1 : 2;
    int n = 2 * numbers * Folded<L, IN>::PAIRS + numbers * cosines_additions<L, IN>(0);
    for (int m = 1; m <= (OUT < (L - 1) / 2 ? OUT : (L - 1) / 2); m++)
        n += numbers * (cosines_additions<L, IN>(m) + sines_additions<L, IN>(m) + 2);
    return 2 * OUT == L ? n + numbers * cosines_additions<L, IN>(L / 2) : n;
}

template <int L, int HALF>
constexpr Additions count_additions() {
    constexpr int S = SIDE<L, HALF>, FOLD = 2 * Folded<L, HALF>::PAIRS, INNER = (L - 1) / 2;
    Additions a = {S * FOLD, {0, 0}, 0, S * (transform_additions<L, L / 2, HALF, true>() + S)};
    for (int k = 0; k <= L / 2; k++) {
        a.rows += S * (cosines_additions<L, HALF>(k) + (is_edge<L>(k) ? 0 : sines_additions<L, HALF>(k)));
        int forward = is_edge<L>(k) ? FOLD : transform_additions<L, HALF, L / 2, false>();
        if (is_edge<L>(k)) {
            for (int m = 0; m <= L / 2; m++)
                forward += cosines_additions<L, HALF>(m) + (is_edge<L>(m) ? 0 : sines_additions<L, HALF>(m));
        }
        const int complex_numbers = is_edge<L>(k) ? INNER : L;
        a.column[LEFT] += forward + complex_numbers;
        a.column[RIGHT] += forward + 2 * complex_numbers;
        a.column_back += 2 * complex_numbers + (is_edge<L>(k) ? transform_additions<L, L / 2, HALF, true>()
                                                              : transform_additions<L, L / 2, HALF, false>());
    }
    return a;
}

struct Dft {
    int length, half, side;
    void (*rows)(const vf* square, float* rows, size_t ld);
    void (*column[2])(int k, const float* rows, float* planes, size_t ld);  // by Side
    void (*column_back)(int k, const float* planes, size_t ld, float* rows);
    void (*rows_back)(const float* rows, size_t ld, vf* square);
    Additions additions;

    int columns() const { return length / 2 + 1; }
    size_t row_numbers() const { return 2 * side * WIDTH; }  // per column
};

template <int L, int HALF>
constexpr Dft DFT = {L,
                     HALF,
                     SIDE<L, HALF>,
                     rows_forward<L, HALF>,
                     {column_forward<L, HALF, LEFT>, column_forward<L, HALF, RIGHT>},
                     column_inverse<L, HALF>,
                     rows_inverse<L, HALF>,
                     count_additions<L, HALF>()};
